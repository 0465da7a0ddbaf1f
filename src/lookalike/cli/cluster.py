"""The command for clusters: which node holds what, and what mends or moves it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING, cast

import click

from lookalike.cli.console import console, fail, note, print_json
from lookalike.cli.opening import open_named_engine
from lookalike.cli.options import index_option, json_option, server_option
from lookalike.errors import InputError
from lookalike.system.text import count

if TYPE_CHECKING:
    from lookalike.engines.server.cluster import Cluster, ClusterStatus
    from lookalike.engines.server.engine import ServerEngine

_DRY = "Nothing was changed. Run the same command with --yes to do it."
_NAMED = 10
"""Differing images that a dry run names."""


@click.command()
@click.argument("action", type=click.Choice(["status", "repair", "balance"]))
@index_option
@click.option("--replicas", type=click.IntRange(1), help="With balance: nodes to hold each shard.")
@click.option(
    "--without",
    type=int,
    multiple=True,
    metavar="NODE",
    help="With balance: id of a node that leaves for good, so that it is to hold nothing.",
)
@click.option("--yes", is_flag=True, help="Apply the changes. Without it: a dry run.")
@server_option
@json_option
def cluster(
    action: str,
    url: str | None,
    replicas: int | None,
    without: Sequence[int],
    yes: bool,
    server: dict[str, str] | None,
    as_json: bool,
) -> None:
    """Shows and mends the replicas of an index on a cluster.

    Name all nodes in its address: http://a:6333,b:6333,c:6333/name. `status` ends with code 1 if
    something is not as it should be, `repair` sends again what replicas do not have alike, and
    `balance` spreads them evenly over the nodes.
    """
    if action != "balance" and (replicas or without):
        raise InputError("--replicas and --without belong to `lookalike cluster balance`.")
    with _opened(url, server) as (cluster, engine):
        if action == "status":
            _status(cluster, as_json)
        elif action == "repair":
            _repair(cluster, engine, yes, as_json)
        else:
            _balance(cluster, replicas, without, yes, as_json)


@contextmanager
def _opened(
    url: str | None, server: dict[str, str] | None
) -> Iterator[tuple[Cluster, ServerEngine]]:
    from lookalike.engines import is_server

    with open_named_engine(url, server) as named:
        if not is_server(named.name):
            raise InputError(f"{named.name} is a folder; only an index on a server has nodes.")
        from lookalike.engines.server.cluster import Cluster

        engine = cast("ServerEngine", named.engine)
        with closing(Cluster(engine.nodes, engine.collection, engine.url, engine.options)) as made:
            yield made, engine


def _status(cluster: Cluster, as_json: bool) -> None:
    status, beside = cluster.status(), cluster.of_state()
    state = None if beside is None else beside.status()
    if as_json:
        print_json(asdict(status) | {"state": state and asdict(state)})
    else:
        for line in _status_lines(status):
            click.echo(line)
        for line in _state_lines(state):
            click.echo(f"state of the services: {line}")
    sys.exit(1 if status.problems or (state and state.problems) else 0)


def _state_lines(state: ClusterStatus | None) -> Iterator[str]:
    for replica in () if state is None else state.replicas:
        yield f"shard {replica.shard} on node {replica.peer}: {replica.state}"
    yield from () if state is None else state.problems


def _status_lines(status: ClusterStatus) -> Iterator[str]:
    for peer, uri in status.peers.items():
        held = [replica for replica in status.replicas if replica.peer == peer]
        known = [replica.points for replica in held if replica.points is not None]
        points = f", {sum(known):,} points" if len(known) == len(held) and held else ""
        yield f"node {peer} at {uri}: {count(len(held), 'replica')}{points}"
    for replica in status.replicas:
        points = "" if replica.points is None else f", {replica.points:,} points"
        yield f"shard {replica.shard} on node {replica.peer}: {replica.state}{points}"
    for shard in status.transfers:
        yield f"shard {shard} is being transferred"
    yield from status.problems
    if not status.problems:
        yield f"All is as it should be, with {count(status.wanted, 'replica')} of each shard."


def _repair(cluster: Cluster, engine: ServerEngine, yes: bool, as_json: bool) -> None:
    from lookalike.engines.server.repair import (
        differing_points,
        differing_records,
        repair,
        repair_state,
    )

    differing, beside = differing_points(cluster), cluster.of_state()
    records = iter(()) if beside is None else differing_records(beside)
    if yes:
        sent = repair(cluster, engine, differing)
        state = 0 if beside is None else repair_state(beside, engine.open_state(), records)
        if as_json:
            print_json({"sent": sent, "state_sent": state})
            return
        click.echo(f"{count(sent, 'image')} sent again")
        if state:
            click.echo(f"state of the services: {count(state, 'record')} sent again")
        return
    first = [id for id, _ in islice(differing, _NAMED)]
    total = len(first) + sum(1 for _ in differing)
    state = sum(1 for _ in records)
    if as_json:
        print_json({"differing": total, "first": first, "state_differing": state})
        return
    for id in first:
        click.echo(f"point {id}")
    click.echo(f"{count(total, 'image')} that the nodes do not have alike")
    if state:
        click.echo(
            f"state of the services: {count(state, 'record')} that the nodes do not have alike"
        )
    if total or state:
        note(_DRY)


def _balance(
    cluster: Cluster, replicas: int | None, without: Sequence[int], yes: bool, as_json: bool
) -> None:
    from lookalike.engines.server.cluster import plan

    parts = [cluster, *filter(None, [cluster.of_state()])]
    plans = [plan(part.status(), replicas=replicas, without=without) for part in parts]
    steps, state_steps = [*plans, []][:2]
    if as_json:
        print_json(
            {
                "steps": [asdict(step) for step in steps],
                "state_steps": [asdict(step) for step in state_steps],
                "done": yes,
            }
        )
    elif not (steps or state_steps):
        click.echo("The replicas are spread evenly; there is nothing to do.")
    else:
        for step in steps:
            click.echo(str(step))
        for step in state_steps:
            click.echo(f"state of the services: {step}")
    if not yes:
        if steps or state_steps:
            note(_DRY)
        return
    total, number = len(steps) + len(state_steps), 0
    with console(stderr=True).status("waiting for Qdrant"):
        for part, planned in zip(parts, plans, strict=True):
            for step in part.carry_out(planned):
                number += 1
                note(f"{number} of {total} done: {step}")
    if any(part.status().transfers for part in parts):
        fail("A transfer still runs; run the same command again.", 1)
