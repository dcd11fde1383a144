"""`rumiai-ray frames …`: look after the frame store, the only cache."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from rumiai_ray.cli.exits import Exit
from rumiai_ray.cli.options import with_settings
from rumiai_ray.cli.tables import folding
from rumiai_ray.cli.terminal import SafeConsole, counted, say
from rumiai_ray.config import BaseConfig
from rumiai_ray.errors import ConfigError

if TYPE_CHECKING:
    from rumiai_ray.frames.store.store import FrameStore

app = typer.Typer(help="The frame store: list, verify, prune, export.", no_args_is_help=True)
_SETTINGS = ("store", "store_max_gb", "sampling", "limits")


def add_to(parent: typer.Typer) -> None:
    """Register the verbs."""
    parent.add_typer(app, name="frames")


def _store(config: BaseConfig) -> FrameStore:
    from rumiai_ray.engine.setup.run_setup import open_store  # noqa: PLC0415 -- brings Ray along

    # These verbs look after the node's own store; the shared one is not asked.
    return open_store(config.model_copy(update={"store_remote": None}))


@app.command("ls")
@with_settings(*_SETTINGS, "store_remote")
def ls(config: BaseConfig) -> None:
    """List the stored videos, least recently used first."""
    table = Table(*folding("key", "video", "MB", "duration", "frames", "last used", whole="key"))
    total = 0
    for entry in _store(config).entries():
        total += entry.bytes
        facts = entry.facts
        table.add_row(
            entry.key[:16],
            entry.video_key[:16],
            f"{entry.bytes / 1e6:.1f}",
            f"{facts.duration_s:.1f} s",
            str(facts.frames_sampled),
            f"{datetime.fromtimestamp(entry.last_used, UTC).astimezone():%Y-%m-%d %H:%M}",
        )
    console = SafeConsole()
    console.print(table)
    console.print(f"{total / 1e9:.2f} GB of at most {config.store_max_gb:g} GB, in {config.store}", markup=False, soft_wrap=True)
    if config.store_remote is not None:
        console.print(f"shared between nodes through {config.store_remote}", markup=False, soft_wrap=True)


@app.command("verify")
@with_settings(*_SETTINGS)
def verify(config: BaseConfig) -> None:
    """Check every stored file against its checksum. Exit code 1 if one is damaged; the next run rebuilds it."""
    damaged = 0
    for key, problem in _store(config).verify():
        damaged += problem is not None
        say(f"{'ok' if problem is None else 'damaged'}  {key}{'' if problem is None else ': ' + problem}")
    if damaged:
        raise typer.Exit(Exit.TROUBLED)


@app.command("prune")
@with_settings(*_SETTINGS)
def prune(
    config: BaseConfig,
    to_gb: Annotated[
        float | None,
        typer.Option("--to-gb", min=0.0, help="Size to prune to; 0 empties the store. Default: --store-max-gb.", show_default=False),
    ] = None,
) -> None:
    """Remove least recently used videos until the store is small enough; videos in use stay."""
    evicted = _store(config).prune(int((config.store_max_gb if to_gb is None else to_gb) * 1e9))
    say(f"{counted(len(evicted), 'stored video')} removed")


@app.command("export")
@with_settings(*_SETTINGS)
def export(
    key: Annotated[str, typer.Argument(help="Key of a stored video, or its beginning; `frames ls` lists them.", show_default=False)],
    directory: Annotated[Path, typer.Argument(help="Directory to write frames, audio and metadata to.", show_default=False)],
    config: BaseConfig,
) -> None:
    """Write a stored video's frames as JPEG, its audio as WAV and its metadata as JSON."""
    from rumiai_ray.frames.export import export as write  # noqa: PLC0415

    store = _store(config)
    matching = [entry.key for entry in store.entries() if entry.key.startswith(key) or entry.video_key.startswith(key)]
    if len(matching) != 1:
        raise ConfigError(f"{len(matching) or 'no'} keys match", key, "`rumiai-ray frames ls` lists the keys")
    with store.open(matching[0]) as stored:
        write(stored, directory)
    say(f"written to {directory}")
