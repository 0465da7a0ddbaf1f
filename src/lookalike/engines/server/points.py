"""Points as structs of the server's two APIs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from qdrant_client import grpc, models
from qdrant_client.conversions.conversion import payload_to_grpc
from qdrant_client.uploader.grpc_uploader import convert_vector_struct

from lookalike import record
from lookalike.engines.points import PayloadUpdate, unnamed_vectors
from lookalike.types import Payload, Point, point_id


def to_rest(point: Point) -> models.PointStruct:
    # Skips pydantic's validation of every number: its parts are valid already.
    return models.PointStruct.model_construct(
        id=str(point_id(point.id)),
        vector={name: vector.tolist() for name, vector in point.vectors.items()},
        payload=dict(point.payload),
    )


def replacing_vectors(
    points: Sequence[Point], names: Iterable[str]
) -> list[models.UpdateOperation]:
    """The operations that replace the vectors of points, and leave their payloads alone.

    Args:
        points: the points; vectors that they do not name are removed.
        names: of all vectors of the collection.
    """
    removals: list[models.UpdateOperation] = [
        models.DeleteVectorsOperation(
            delete_vectors=models.DeleteVectors(
                points=[str(point_id(id)) for id in ids], vector=list(others)
            )
        )
        for others, ids in unnamed_vectors(points, names).items()
    ]
    rows = [
        models.PointVectors.model_construct(id=row.id, vector=row.vector)
        for row in map(to_rest, points)
    ]
    update = models.UpdateVectors.model_construct(points=rows)
    return [*removals, models.UpdateVectorsOperation.model_construct(update_vectors=update)]


def merging(id: str, fields: Payload) -> list[models.UpdateOperation]:
    """The operations that merge fields into the payload of a point; see `Engine.set_payload`. Our
    record comes last: by it the next run sees that an image is up to date."""
    point: list[models.ExtendedPointId] = [str(point_id(id))]
    update = PayloadUpdate.of(fields)
    operations: list[models.UpdateOperation] = []
    if update.fields:
        merge = models.SetPayload(payload=dict(update.fields), points=point)
        operations.append(models.SetPayloadOperation(set_payload=merge))
    if update.removed:
        remove = models.DeletePayload(keys=list(update.removed), points=point)
        operations.append(models.DeletePayloadOperation(delete_payload=remove))
    if update.record:
        merge = models.SetPayload(payload=dict(update.record), points=point, key=record.KEY)
        operations.append(models.SetPayloadOperation(set_payload=merge))
    return operations


def changing_lists(
    id: str, before: Mapping[str, Sequence[str]], after: Mapping[str, Sequence[str]]
) -> models.UpdateOperation:
    """The operation that changes lists of our record; see `SharedEngine.set_lists`."""
    unchanged: list[models.Condition] = [models.HasIdCondition(has_id=[str(point_id(id))])]
    for name, values in before.items():
        unchanged += _exactly(f"{record.KEY}.{name}", values)
    change = models.SetPayload(
        payload={name: list(values) for name, values in after.items()},
        key=record.KEY,
        filter=models.Filter(must=unchanged),
    )
    return models.SetPayloadOperation(set_payload=change)


def _exactly(path: str, values: Sequence[str]) -> list[models.Condition]:
    """Conditions that a list has these different values, and no others."""
    if not values:
        return [models.IsEmptyCondition(is_empty=models.PayloadField(key=path))]
    number = models.ValuesCount(gte=len(values), lte=len(values))
    other = models.FieldCondition(key=path, match=models.MatchExcept(**{"except": list(values)}))
    return [
        models.FieldCondition(key=path, values_count=number),
        models.Filter(must_not=[other]),
    ]


def to_grpc(point: Point) -> Any:
    """The struct that the client's own bulk upload makes.

    It copies an array's bytes into the message, in half the time that a list of floats takes. The
    two functions are internal to the client, and a test notices if they change.
    """
    return grpc.PointStruct(
        id=grpc.PointId(uuid=str(point_id(point.id))),
        vectors=convert_vector_struct(dict(point.vectors)),
        payload=payload_to_grpc(dict(point.payload)),
    )
