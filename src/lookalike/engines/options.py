"""Options for server connections and new collections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from lookalike.errors import InputError


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """The layout of a new collection, and the connection to its server.

    Attributes:
        shard_number: shards of a new collection, fixed for good, as a self-hosted cluster cannot
            reshard. Six spread evenly over 1, 2, 3 or 6 nodes. More than two or four shards a node
            slow down every query, so use 12 only if you plan 4 or 12 nodes.
        replication_factor: nodes that hold each shard; 2 or more survive the loss of a node. None
            is 2 on a cluster of three nodes or more, and 1 otherwise.
        write_consistency_factor: replicas that must have written before a write returns.
        vectors_on_disk: whether the original vectors stay on disk and are read when needed.
        quantization: compression of the vectors that propose candidates: "int8" to a quarter of
            the size, "turbo" to an eighth, "binary" to a thirty-second; "none" compares the
            originals. Candidates of all but "int8" are rescored by the originals.
        quantized_in_ram: whether the quantized vectors are pinned in RAM, or read from disk.
        m, ef_construct: edges per point in the search graph, and the search width of its build.
        payload_indexes_on_disk: whether the indexes used by filters stay on disk.
        indexing_threshold: kilobytes of vectors from which on a segment gets a graph. A new
            collection builds none until `optimize` sets this.
        read_consistency: replicas that must agree on a read: a number, "majority", "quorum" or
            "all"; None reads from one.
        api_key: the server's key, if it requires one. Over http:// it travels unencrypted.
        ca_cert: PEM file with the certificates of the authority that signed the server's, where
            this machine does not trust it anyway.
        grpc: whether to use gRPC, which is faster than REST, where the server offers it.
        grpc_port: by default the port after the address's, as with 6333 and 6334.
        timeout: seconds until a request times out.
        patience: seconds for which a request is repeated that failed for a temporary reason, as
            where the server is away. Where a person waits for the answer, 3 seconds at most.
        backoff: seconds up to which the first pause between attempts lasts; the limit doubles with
            each attempt, up to 2 seconds.
        batch: points per write request.
        parallel: concurrent write requests.
        optimize_timeout: seconds that `optimize` waits for the server's graphs.
    """

    shard_number: int = 6
    replication_factor: int | None = None
    write_consistency_factor: int = 1
    vectors_on_disk: bool = True
    quantization: Literal["int8", "turbo", "binary", "none"] = "int8"
    quantized_in_ram: bool = True
    m: int = 16
    ef_construct: int = 128
    payload_indexes_on_disk: bool = False
    indexing_threshold: int = 10_000
    read_consistency: int | Literal["majority", "quorum", "all"] | None = None
    api_key: str | None = field(default=None, repr=False)
    ca_cert: str | None = None
    grpc: bool = True
    grpc_port: int | None = None
    timeout: int = 30
    patience: float = 300.0
    backoff: float = 0.5
    batch: int = 256
    parallel: int = 4
    optimize_timeout: float = 3600.0

    @classmethod
    def of(cls, texts: Mapping[str, str], *, api_key: str | None) -> ServerOptions:
        """Parses options from a command line.

        Raises:
            InputError: an option does not exist, or its value has the wrong type.
        """
        known = {field.name: field for field in fields(cls) if field.name != "api_key"}
        values: dict[str, Any] = {}
        for name, text in texts.items():
            if name not in known:
                raise InputError(f"Unknown server option {name!r}; choose from {', '.join(known)}.")
            default = known[name].default
            try:
                values[name] = _parse(text, default)
            except (ValueError, KeyError):
                example = str(default).lower() if isinstance(default, bool) else default
                raise InputError(
                    f"The server option {name} cannot be {text!r}; use a value like {example}."
                ) from None
        return cls(**values, api_key=api_key)


def _parse(text: str, default: Any) -> Any:
    """Parses a value of the default's type."""
    if isinstance(default, bool):
        return {"true": True, "false": False}[text.lower()]
    if isinstance(default, int | float):
        number = type(default)(text)
        if not number > 0:
            raise ValueError(text)
        return number
    return int(text) if text.isdecimal() else text
