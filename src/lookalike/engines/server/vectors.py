"""Further vectors of a living collection: the server adds and removes them without a rebuild."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from qdrant_client import models

from lookalike import record
from lookalike.engines.options import ServerOptions
from lookalike.engines.server.caller import Caller
from lookalike.engines.server.layout import sizes_of, vector_params, vectors_of
from lookalike.errors import EngineError
from lookalike.protocols import Engine
from lookalike.system.iteration import batched
from lookalike.types import HasVector, Not, Point, Vector, VectorSpec, point_id

_SENT_TOGETHER = 64


class _Collection(Engine, Protocol):
    """The server engine, as far as it is needed here."""

    collection: str
    options: ServerOptions
    _call: Caller

    def drop_vector(self, name: str) -> None: ...
    def _create_vector(self, name: str, params: models.VectorParams) -> None: ...
    def _info(self) -> models.CollectionInfo: ...
    def _update(self, operations: Sequence[models.UpdateOperation]) -> None: ...


class GrowingCollection:
    """The part of the server engine that changes which vectors there are."""

    def add_vector(self: _Collection, spec: VectorSpec) -> None:
        """Gives the collection another vector, which no point has yet. Idempotent."""
        params = vector_params(spec, self.options)
        existing = sizes_of(vectors_of(self._info()))
        if existing.get(spec.name) != (params.size, params.distance):
            self.drop_vector(spec.name)  # left by a migration that was cut off unrecorded
            self._create_vector(spec.name, params)
        # Always, as a process may have been killed after it had created the vector.
        diff = models.VectorParamsDiff(
            memory=params.memory, quantization_config=params.quantization_config
        )
        self._call(
            lambda client: client.update_collection(
                self.collection, vectors_config={spec.name: diff}
            )
        )

    def _create_vector(self: _Collection, name: str, params: models.VectorParams) -> None:
        dense = models.DenseVectorConfig(
            size=params.size,
            distance=params.distance,
            datatype=None
            if params.datatype is None
            else models.VectorStorageDatatype(params.datatype),
        )
        config = models.DenseVectorNameConfig(dense=dense)
        try:
            self._call(
                lambda client: client.create_vector_name(self.collection, name, config, wait=True)
            )
        except EngineError:
            if name not in vectors_of(self._info()):  # several machines begin at the same moment
                raise

    def lacking(self: _Collection, name: str, after: str | None, limit: int) -> list[Point]:
        """Up to `limit` points without a vector of this name, in the order of their point ids;
        `after` an image, those that follow."""
        return next(self.scroll(Not(HasVector(name)), batch=limit, after=after), [])

    def count_lacking(self: _Collection, name: str) -> int:
        """Number of points without a vector of this name."""
        return self.count(Not(HasVector(name)))

    def set_vectors(
        self: _Collection, name: str, updates: Sequence[tuple[str, str, Vector]]
    ) -> None:
        """Sets the vectors of existing points, each as long as its image has a certain SHA-256.

        Args:
            name: of the vector.
            updates: image id, SHA-256 and vector.
        """
        for batch in batched(updates, _SENT_TOGETHER):
            try:
                self._update([_setting(name, *update) for update in batch])
            except EngineError:
                # An image that is gone fails the request, and what follows it is not written.
                points = self.retrieve([id for id, _, _ in batch], payload=False)
                ids = {point.id for point in points}
                if left := [_setting(name, *update) for update in batch if update[0] in ids]:
                    self._update(left)

    def install_vector(self: _Collection, name: str) -> None:
        """Waits until the graph of the vector is built."""
        self.optimize()

    def drop_vector(self: _Collection, name: str) -> None:
        """Removes a vector from all points. Idempotent."""
        if name in vectors_of(self._info()):
            self._call(lambda client: client.delete_vector_name(self.collection, name, wait=True))


def _setting(name: str, id: str, sha256: str, vector: Vector) -> models.UpdateVectorsOperation:
    same = models.FieldCondition(key=record.SHA256, match=models.MatchValue(value=sha256))
    return models.UpdateVectorsOperation(
        update_vectors=models.UpdateVectors(
            points=[models.PointVectors(id=str(point_id(id)), vector={name: vector.tolist()})],
            update_filter=models.Filter(must=[same]),
        )
    )
