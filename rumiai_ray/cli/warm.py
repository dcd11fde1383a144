"""`rumiai-ray up`, `down` and `status`: keep a cell with its models loaded for the videos one looks into, see it, let it go."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer
from rich.table import Table
from rich.text import Text

from rumiai_ray.cli.exits import Exit
from rumiai_ray.cli.options import PrintJson, Verbose, say_more, with_settings
from rumiai_ray.cli.tables import folding
from rumiai_ray.cli.terminal import SafeConsole, say, say_json
from rumiai_ray.config import BaseConfig  # noqa: TC001 -- typer reads the annotations

if TYPE_CHECKING:
    from rumiai_ray.engine.warm.answers import Held


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""
    app.command("up")(with_settings()(up))
    app.command("down")(down)
    app.command("status")(status)


def up(config: BaseConfig) -> None:
    """Start Ray on this machine, or join the cluster at RAY_ADDRESS, and keep a warm cell there for `rumiai-ray VIDEO`."""
    from rumiai_ray.cli.consent import may_ask  # noqa: PLC0415
    from rumiai_ray.cli.doctor.verb import preflight  # noqa: PLC0415 -- `--help` must not wait for Ray
    from rumiai_ray.cli.endings import noise_to_stderr  # noqa: PLC0415
    from rumiai_ray.cli.warm_choice import kept_by_warm_cell, note_warm_cell  # noqa: PLC0415
    from rumiai_ray.cli.weights import choose_or_fetch  # noqa: PLC0415
    from rumiai_ray.engine.ray_session.local import cpus_to_count  # noqa: PLC0415
    from rumiai_ray.engine.ray_session.local_head import alone, find_head, start_head  # noqa: PLC0415
    from rumiai_ray.engine.ray_session.session import check_address  # noqa: PLC0415
    from rumiai_ray.engine.warm.client import WantedCell, keep  # noqa: PLC0415
    from rumiai_ray.provenance import source_sha256  # noqa: PLC0415

    with noise_to_stderr():
        check_address()
        preflight(config)
        kept = kept_by_warm_cell(config)
        wanted = WantedCell(config, choose_or_fetch(config, kept=kept, asking=may_ask()), source_sha256())
        if not os.environ.get("RAY_ADDRESS"):
            with alone():
                if find_head() is None:
                    _say("starting Ray on this machine")
                    start_head(cpus_to_count())
        held = keep(wanted, _say)
        note_warm_cell(wanted.models, config)
    _show(_place(), [held])
    if any(model.state.startswith(("lost", "failed")) for model in held.models):
        raise typer.Exit(Exit.TROUBLED)


def down(verbose: Verbose = 0) -> None:
    """Stop what `up` started: your warm cells, and Ray on this machine if `up` started it. Nothing else is touched."""
    say_more(verbose)
    from rumiai_ray.cli.endings import noise_to_stderr  # noqa: PLC0415
    from rumiai_ray.engine.ray_session.local_head import alone, stop_head  # noqa: PLC0415
    from rumiai_ray.engine.ray_session.session import check_address  # noqa: PLC0415
    from rumiai_ray.engine.ray_session.warm_connection import attached  # noqa: PLC0415
    from rumiai_ray.engine.warm.client import drop_all  # noqa: PLC0415

    with noise_to_stderr():
        if os.environ.get("RAY_ADDRESS"):
            check_address()
            with attached():
                ended = drop_all()
            say(f"ended {ended} warm cell{'' if ended == 1 else 's'} on {os.environ['RAY_ADDRESS']}; the cluster stays", err=True)
            return
        with alone():
            ended = stop_head()
    say("stopped this machine's Ray and its warm cell" if ended else "nothing was running", err=True)


def status(as_json: PrintJson = False, verbose: Verbose = 0) -> None:  # noqa: FBT002 -- typer's way
    """Show which cells are warm, where, and who is using them."""
    say_more(verbose)
    from rumiai_ray.cli.endings import noise_to_stderr  # noqa: PLC0415
    from rumiai_ray.engine.ray_session.local_head import find_head  # noqa: PLC0415
    from rumiai_ray.engine.ray_session.session import check_address  # noqa: PLC0415
    from rumiai_ray.engine.ray_session.warm_connection import attached  # noqa: PLC0415
    from rumiai_ray.engine.warm.client import all_held  # noqa: PLC0415

    held: list[Held] = []
    with noise_to_stderr():
        check_address()
        up_there = bool(os.environ.get("RAY_ADDRESS")) or find_head() is not None
        if up_there:
            with attached():
                held = all_held()
    if as_json:
        say_json({"ray": _place() if up_there else None, "cells": [asdict(one) for one in held]})
    elif up_there:
        _show(_place(), held)
    else:
        say("nothing is running; `rumiai-ray up` starts a warm cell")


def _say(text: str) -> None:
    say(text, err=True)


def _place() -> str:
    """What Ray it is, for people."""
    from rumiai_ray.engine.ray_session.local_head import find_head  # noqa: PLC0415

    address = os.environ.get("RAY_ADDRESS")
    if address:
        return f"the cluster at {address}"
    head = find_head()
    return f"this machine's Ray at {head.address} (process {head.process.pid}, logs in {head.logs})" if head else "no Ray"


def _see_logs() -> str:
    from rumiai_ray.engine.ray_session.local_head import see_logs  # noqa: PLC0415
    from rumiai_ray.engine.ray_session.warm_connection import own_head  # noqa: PLC0415

    return see_logs(own_head())


def _show(place: str, cells: list[Held]) -> None:
    console = SafeConsole()
    console.print(Text(place), soft_wrap=True)
    if not cells:
        console.print("no warm cell")
    for held in cells:
        if not held.understood:
            console.print(Text(f"cell {held.key[:12]}: {held.state}"), soft_wrap=True)
            continue
        bundle = ", ".join(f"{amount:g} {name}" for name, amount in held.bundle.items())
        where = f" on {held.node}" if held.node else ""
        console.print(Text(f"cell {held.key[:12]}: {held.state}{where}; {bundle}; {_use(held)}"), soft_wrap=True)
        if held.models:
            table = Table(*folding("model", "backend", "device", "state", "loaded in s", whole="model"))
            for model in held.models:
                backend = model.backend + (" (stand-in)" if model.stand_in else "")
                table.add_row(model.name, backend, model.device, model.state, "" if model.load_s is None else f"{model.load_s:.1f}")
            console.print(table)
        if held.trouble:
            console.print(Text(f"the process that keeps the cell reported an error: {held.trouble}; {_see_logs()}"), soft_wrap=True)


def _use(held: Held) -> str:
    if held.user:
        waiting = f", {held.waiting} waiting" if held.waiting else ""
        return f"used by {held.user}{waiting}"
    if held.state == "expired":
        return "the next command starts it again"
    return f"idle for {held.idle_s:.0f} s, closed after {held.expires_s:.0f} s"
