"""Options for server connections and new collections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from lookalike.errors import InputError


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How a collection on a server is laid out when it is made, and how the server is spoken to.

    Attributes:
        shard_number: into how many parts a new collection is cut, for ever: a cluster of one's own
            cannot reshard. Six spread evenly over 1, 2, 3 or 6 nodes; more than two or four a node
            cost every query, so take 12 only where 4 or 12 nodes are to come.
        replication_factor: how many nodes hold each shard; 2 or more survive the loss of a node.
        write_consistency_factor: how many of them must have written before a write is done.
        vectors_on_disk: whether the original vectors are left on disk, read when they are needed.
        quantization: what stands in RAM for them and proposes candidates: "int8" a quarter of
            their size, "turbo" an eighth, "binary" a thirty-second; "none" compares originals.
            Candidates of all but "int8" are compared with the originals before they count.
        quantized_in_ram: whether those are pinned in RAM, or read from disk as well.
        m, ef_construct: edges of a point in the search graph, and how widely it is built.
        payload_indexes_on_disk: whether the indexes that filters go by are left on disk.
        indexing_threshold: kilobytes of vectors in a segment from which on it gets a graph. A new
            collection has none until `optimize` sets this.
        read_consistency: how many replicas must agree on what is read: a number, "majority",
            "quorum" or "all"; None asks one.
        api_key: for servers that want one. Over http:// it travels in the clear.
        grpc: whether to speak gRPC where the server does, which is faster than REST.
        grpc_port: by default the one after that of the address, as with 6333 and 6334.
        timeout: seconds that a request may take.
        retries: how often a request is sent again after a failure that may pass.
        backoff: seconds of the first pause before that; the next may last twice as long.
        batch: points a request when they are written.
        parallel: requests at the same time when they are written.
        optimize_timeout: seconds that `optimize` waits for the server's graphs.
    """

    shard_number: int = 6
    replication_factor: int = 1
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
    grpc: bool = True
    grpc_port: int | None = None
    timeout: int = 30
    retries: int = 6
    backoff: float = 0.5
    batch: int = 256
    parallel: int = 4
    optimize_timeout: float = 3600.0

    @classmethod
    def of(cls, given: Mapping[str, str], *, api_key: str | None) -> ServerOptions:
        """Options from what a command line says.

        Raises:
            InputError: there is no such option, or it takes another kind of value.
        """
        known = {field.name: field for field in fields(cls) if field.name != "api_key"}
        values: dict[str, Any] = {}
        for name, text in given.items():
            if name not in known:
                raise InputError(f"A server has no option {name!r}; it has {', '.join(known)}.")
            try:
                values[name] = _value(known[name].default, text)
            except (ValueError, KeyError):
                raise InputError(f"The server's {name} cannot be {text!r}.") from None
        return cls(**values, api_key=api_key)


def _value(default: Any, text: str) -> Any:
    """`text` as a value of the kind that `default` is of."""
    if isinstance(default, bool):
        return {"true": True, "false": False}[text.lower()]
    if isinstance(default, int | float):
        number = type(default)(text)
        if not number > 0:
            raise ValueError(text)
        return number
    return int(text) if text.isdecimal() else text
