"""Fill the frame store from a manifest, without models: `python jobs/prefetch.py --manifest FILE`.

A run over the same videos with the same sampling, on the same node, then decodes nothing; with `--store-remote`, on any node.
Hosts are treated as a batch treats them: `--limits-host-downloads`, `--limits-host-interval-s`, `--limits-host-refusals`, `Retry-After`.
A video that its host refuses again after the pause has failed; only several of them in a row pause the host again. They are asked for
after all others. `.refused-UID.json` in the store remembers which were refused, until the host answers for them.

Exit codes: 0 all stored, 1 some video could not be had or uploaded, was evicted again, or left undone because its host refuses,
2 wrong usage, 3 aborted, or the store, another disk or standard output cannot be written.
"""  # noqa: INP001 -- a script

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

# The package need not be installed: it lies beside this folder.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from rumiai_ray.cli.interpreter import check_interpreter  # noqa: E402 -- found on the path just set

check_interpreter()

import typer  # noqa: E402 -- only where the packages are

from rumiai_ray.cli.boundary import exit_code_of, pipes_apart  # noqa: E402 -- found on the path just set
from rumiai_ray.cli.endings import scratch_directory  # noqa: E402
from rumiai_ray.cli.exits import Exit  # noqa: E402
from rumiai_ray.cli.options import with_settings  # noqa: E402
from rumiai_ray.cli.output import mark_streams  # noqa: E402
from rumiai_ray.cli.terminal import counted, say  # noqa: E402
from rumiai_ray.config import BaseConfig  # noqa: E402 -- typer reads the annotations
from rumiai_ray.engine.setup.run_setup import fetch_limits, manners, open_store  # noqa: E402
from rumiai_ray.engine.work.host_turn import HostTurn  # noqa: E402
from rumiai_ray.errors import RumiaiError, StorageError  # noqa: E402
from rumiai_ray.ingest.entries import read_manifest  # noqa: E402
from rumiai_ray.ingest.fetch import fetch  # noqa: E402
from rumiai_ray.ingest.manners import LEFT_ALONE, HostBook, Paused, host_of  # noqa: E402
from rumiai_ray.ingest.refused_entries import RefusedEntries  # noqa: E402

if TYPE_CHECKING:
    from rumiai_ray.frames.store.store import FrameStore
    from rumiai_ray.frames.store.stored import Origin
    from rumiai_ray.ingest.entries import Entry
    from rumiai_ray.ingest.limits import FetchLimits

Manifest = Annotated[
    str, typer.Option("--manifest", help="CSV, JSONL, Parquet or text list of videos: a path or an fsspec URI.", show_default=False)
]
AtOnce = Annotated[int, typer.Option("--at-once", min=1, help="Videos fetched and decoded at a time.")]


@dataclass(frozen=True)
class Outcome:
    """How one entry ended."""

    kind: Origin | Literal["failed", "undone"]
    text: str
    """The entry's key in the store, or the failure in words."""
    shared: bool = False
    """Whether the shared store has it."""
    paused: Paused | None = None
    """Why the entry's host is left alone; of an entry that is left undone."""
    answered: bool = False
    """Whether the entry's host, where it has one, has said something of it, good or bad."""


@with_settings("store", "store_remote", "store_max_gb", "sampling", "limits", "cookies")
def prefetch(manifest: Manifest, config: BaseConfig, at_once: AtOnce = 1) -> None:
    """Fetch and decode every video of a manifest into the frame store; no model is loaded."""
    listed = list(read_manifest(manifest))
    store, limits = open_store(config), fetch_limits(config)
    refused = RefusedEntries(config.store.expanduser().absolute() / f".refused-{os.getuid()}.json")
    began_s = time.time()
    refused_before, entries = refused.over(listed, began_s), refused.last(listed, began_s)
    hosts = HostBook(manners(config), refused_before=refused_before)
    counts: Counter[str] = Counter()
    keys: set[str] = set()
    shared: set[str] = set()
    refusing: dict[str, Paused] = {}
    try:
        with scratch_directory() as workdir, ThreadPoolExecutor(at_once) as pool:
            outcomes = pool.map(lambda entry: _store(entry, store, limits, workdir, hosts), entries)
            for entry, outcome in zip(entries, outcomes, strict=True):
                counts[outcome.kind] += 1
                _remember(refused, entry, outcome, again=entry.entry_id in refused_before)
                if outcome.paused is not None:
                    refusing[outcome.paused.host] = outcome.paused
                elif outcome.kind == "failed":
                    say(outcome.text, err=True)
                else:
                    keys.add(outcome.text)
                    shared |= {outcome.text} if outcome.shared else set()
        evicted = len(keys - {entry.key for entry in store.entries()})
    except StorageError as error:
        _say(error)
        raise typer.Exit(Exit.ABORTED) from error
    finally:
        refused.save()
    fetched = f"{counts['remote']} fetched, " if store.remote else ""
    undone = f", {counts['undone']} left undone" if refusing else ""
    in_both = f", {len(shared)} in {config.store_remote}" if store.remote else ""
    say(
        f"{counted(len(entries), 'entry', 'entries')}: {counts['miss']} decoded, {fetched}{counts['hit']} already stored, "
        f"{counts['failed']} failed{undone}; {counted(len(keys) - evicted, 'video')} in {config.store}{in_both}"
    )
    for host in refusing.values():
        again = f"{datetime.fromtimestamp(host.until_s, UTC):%Y-%m-%d %H:%M} UTC"
        say(f"{host.host} refuses: {host.why}; run the same command after {again} to continue ({LEFT_ALONE})", err=True)
    unshared = len(keys - shared) if store.remote and store.remote.writable else 0
    if unshared:
        say(f"{counted(unshared, 'video')} could not be uploaded to {config.store_remote}; run the same command again to retry", err=True)
    if evicted:
        were = counted(evicted, "video was", "videos were")
        say(f"{were} evicted again: the store holds at most {config.store_max_gb:g} GB; raise --store-max-gb", err=True)
    if evicted or unshared or counts["failed"] or refusing:
        raise typer.Exit(Exit.TROUBLED)


def _remember(refused: RefusedEntries, entry: Entry, outcome: Outcome, *, again: bool) -> None:
    """Keep what an entry's host has said of it for the next call; `again`: it had been refused before this one."""
    if outcome.answered:
        refused.answered(entry)
    elif outcome.paused is not None and outcome.paused.of_entry:
        refused.refused(entry, outcome.paused.until_s)
    elif outcome.kind == "failed" and again:
        refused.failed_again(entry, time.time())


def _store(entry: Entry, store: FrameStore, limits: FetchLimits, workdir: Path, hosts: HostBook) -> Outcome:
    """Make sure of one entry's frames, when its host's turn has come.

    Raises:
        StorageError: the store or the work directory cannot be written: not this entry's trouble.
    """
    turn = HostTurn(host_of(entry), entry.entry_id, hosts)
    paused = turn.wait()
    if paused is not None:
        return Outcome("undone", entry.entry_id, paused=paused)
    fetched = False
    try:
        with fetch(entry, limits, workdir, refused=turn.refused) as video:
            turn.ended(None)
            fetched = True
            with store.ensure(video.path, video.video_key) as stored:
                shared = stored.origin == "remote" or store.share(stored)
                return Outcome(stored.origin, stored.key, shared=shared, answered=True)
    except StorageError as error:
        turn.ended(error)  # others may be waiting for it
        raise
    except RumiaiError as error:
        paused = None if fetched else turn.ended(error)
        if paused is not None:
            return Outcome("undone", entry.entry_id, paused=paused)
        return Outcome("failed", f"{entry.entry_id}: {type(error).__name__}: {error}", answered=fetched or turn.answered(error))


def _say(error: RumiaiError) -> None:
    say(f"{type(error).__name__}: {error}", err=True)


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(pipes_apart()(prefetch))
    mark_streams()
    sys.exit(exit_code_of(lambda: app(standalone_mode=False)))
