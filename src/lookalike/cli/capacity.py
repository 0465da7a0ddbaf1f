"""The command `plan`."""

from __future__ import annotations

from dataclasses import asdict

import click

from lookalike.cli.console import print_json
from lookalike.cli.options import json_option


@click.command("plan")
@click.option("--images", required=True, metavar="N", help="Number of images: 100M, 2.5k.")
@click.option(
    "--model",
    default="clip",
    show_default=True,
    metavar="NAME|SIZE",
    help="Semantic model, or the dimensions of its vectors.",
)
@click.option(
    "--also",
    multiple=True,
    metavar="NAME|SIZE",
    help="A model beside it, as one that a migration adds; repeatable.",
)
@click.option("--replicas", default=1, show_default=True, metavar="N", help="Copies of each shard.")
@click.option("--latency", metavar="TIME", help="Time limit of a search: 20ms.")
@click.option(
    "--node-ram", default="64G", show_default=True, metavar="BYTES", help="RAM of a node."
)
@click.option("--node-cores", default=16, show_default=True, metavar="N", help="Cores of a node.")
@click.option(
    "--images-per-second",
    type=float,
    metavar="N",
    help="Embedding speed of all machines together.",
)
@click.option(
    "--writers", default=1, show_default=True, metavar="N", help="Machines that upload in parallel."
)
@click.option(
    "--payload-bytes",
    default=122,
    show_default=True,
    metavar="N",
    help="Bytes of your fields per image, as JSON.",
)
@click.option(
    "--thumbnails",
    default="10G",
    show_default=True,
    metavar="BYTES",
    help="Disk budget for thumbnails; 0 for none.",
)
@click.option("--duplicates", is_flag=True, help="Also estimate a check for duplicates.")
@click.option(
    "--memory",
    default="1G",
    show_default=True,
    metavar="BYTES",
    help="With --duplicates: memory of each process.",
)
@click.option(
    "--partitions",
    default=1,
    show_default=True,
    metavar="M",
    help="With --duplicates: parts of the check, each compared on a machine of its own.",
)
@json_option
def plan_command(
    images: str,
    model: str,
    also: tuple[str, ...],
    replicas: int,
    latency: str | None,
    node_ram: str,
    node_cores: int,
    images_per_second: float | None,
    writers: int,
    payload_bytes: int,
    thumbnails: str,
    duplicates: bool,
    memory: str,
    partitions: int,
    as_json: bool,
) -> None:
    """Estimates the RAM, disk, machines and hours for an index."""
    from lookalike.admin import capacity
    from lookalike.cli import quantities
    from lookalike.cli.terminal import reports

    estimate = capacity.estimate(
        capacity.CapacityRequest(
            images=quantities.parse_count(images),
            semantic=capacity.vector_size(model),
            further=list(map(capacity.vector_size, also)),
            replicas=replicas,
            node_ram=quantities.parse_bytes(node_ram),
            node_cores=node_cores,
            latency_ms=quantities.parse_milliseconds(latency) if latency else None,
            images_per_second=images_per_second,
            payload_bytes=payload_bytes,
            nodes_writing=writers,
            thumbnails=0 if thumbnails == "0" else quantities.parse_bytes(thumbnails),
        )
    )
    check = None
    if duplicates:
        from lookalike.duplicates.bulk.capacity import estimate_check

        check = estimate_check(
            estimate.images,
            memory=quantities.parse_bytes(memory),
            partitions=partitions,
            cores=node_cores,
        )
    if as_json:
        print_json(asdict(estimate) | ({"duplicates": asdict(check)} if check else {}))
        return
    for line in reports.capacity_lines(estimate):
        click.echo(line)
    for line in reports.check_lines(check) if check else ():
        click.echo(line)
