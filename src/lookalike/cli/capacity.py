"""The command `plan`."""

from __future__ import annotations

from dataclasses import asdict

import click

from lookalike.cli.console import print_json
from lookalike.cli.options import json_option


@click.command("plan")
@click.option("--images", required=True, metavar="N", help="How many: 100M, 2.5k.")
@click.option(
    "--model", default="clip", show_default=True, metavar="NAME|SIZE", help="Or its dimensions."
)
@click.option("--replicas", default=1, show_default=True, metavar="N", help="Of each shard.")
@click.option("--latency", metavar="TIME", help="What a search may take: 20ms.")
@click.option("--node-ram", default="64G", show_default=True, metavar="BYTES", help="A machine's.")
@click.option("--node-cores", default=16, show_default=True, metavar="N", help="Its cores.")
@click.option("--images-per-second", type=float, metavar="N", help="What embeds, all together.")
@click.option("--writers", default=1, show_default=True, metavar="N", help="Uploading machines.")
@click.option(
    "--payload-bytes", default=122, show_default=True, metavar="N", help="Your fields as JSON."
)
@json_option
def plan_command(
    images: str,
    model: str,
    replicas: int,
    latency: str | None,
    node_ram: str,
    node_cores: int,
    images_per_second: float | None,
    writers: int,
    payload_bytes: int,
    as_json: bool,
) -> None:
    """Says what so many images take: RAM, disk, machines, hours."""
    from lookalike.admin import capacity
    from lookalike.cli.terminal import reports

    found = capacity.plan(
        capacity.Ask(
            images=capacity.parse_count(images),
            semantic=capacity.vector_size(model),
            replicas=replicas,
            node_ram=capacity.parse_bytes(node_ram),
            node_cores=node_cores,
            latency_ms=capacity.parse_milliseconds(latency) if latency else None,
            images_per_second=images_per_second,
            payload_bytes=payload_bytes,
            nodes_writing=writers,
        )
    )
    if as_json:
        print_json(asdict(found))
        return
    for line in reports.capacity_lines(found):
        click.echo(line)
