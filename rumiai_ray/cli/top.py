"""`rumiai-ray runs top RUN`: what every cell of a running batch does now, from the picture that the run's driver keeps."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from rumiai_ray.cli.batch_progress import doing, of_entries, of_seconds
from rumiai_ray.cli.exits import Exit
from rumiai_ray.cli.tables import folding
from rumiai_ray.cli.terminal import SafeConsole, counted, say
from rumiai_ray.engine.results.picture import RunPicture, read_picture
from rumiai_ray.shown import terminal_safe

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import RenderableType

    from rumiai_ray.runs.reader import Run

_LATE = 4
"""Intervals without a new picture after which the driver is held to be gone: a commit on a slow store may take one or two."""
_LOOK_S = 0.5


@dataclass(frozen=True)
class Sighting:
    """What an onlooker finds."""

    picture: RunPicture | None
    trouble: str
    """Why the run is not running, in words; empty for one that is."""


def look(
    run: Run,
    *,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], object] = time.sleep,
    waits: Callable[[float], object] | None = None,
) -> Sighting:
    """The picture of a run, and whether somebody still makes them.

    The clocks of two machines may differ: a picture that looks old is waited for, and counts as old only if no other comes. `waits` is told
    before that how many seconds it may take.
    """
    picture = read_picture(run.store)
    if picture is None:
        return Sighting(None, f"not running, or its driver has not written its state yet (only batches do); the run is {run.status}")
    if picture.ended:
        return Sighting(picture, f"not running: {picture.ended}; the run is {run.status}")
    limit_s = _LATE * picture.every_s
    if abs(clock() - picture.written) <= limit_s:
        return Sighting(picture, "")
    if (status := run.again().status) != "incomplete":
        return Sighting(picture, f"not running: it has ended; the run is {status}")
    if waits is not None:
        waits(limit_s)
    waited_s = 0.0
    while waited_s < limit_s:
        sleep(min(_LOOK_S, limit_s))
        waited_s += min(_LOOK_S, limit_s)
        newer = read_picture(run.store)
        if newer is not None and newer.number != picture.number:
            return Sighting(newer, f"not running: {newer.ended}; the run is {run.status}" if newer.ended else "")
    old = _span(max(clock() - picture.written, 0.0))
    what = f"its driver on {picture.driver} has given no sign of life for {old}" if run.status == "incomplete" else "it has ended"
    hint = f"; `rumiai-ray runs resume {run.run_id}` continues it once the driver has certainly ended" if run.status == "incomplete" else ""
    return Sighting(picture, f"not running: {what}; the run is {run.status}{hint}")


def top(run: Run, *, once: bool) -> Exit:
    """Show the run, once or until it ends. Ends with 1 where it is not running."""
    console = SafeConsole()
    found = look(run, waits=_say_that_it_waits)
    if once or found.trouble or found.picture is None:
        console.print(view(run, found))
        return Exit.TROUBLED if found.trouble else Exit.COMPLETE
    with Live(view(run, found), console=console, auto_refresh=False) as live:
        while not found.trouble and found.picture is not None:
            time.sleep(found.picture.every_s)
            found = look(run.again())
            live.update(view(run, found), refresh=True)
    return Exit.COMPLETE


def _say_that_it_waits(limit_s: float) -> None:
    say(f"the state of the run looks old; waiting up to {limit_s:.0f} s for a newer one", err=True)


def view(run: Run, found: Sighting) -> RenderableType:
    """What is printed."""
    lines: list[RenderableType] = []
    if found.trouble:
        lines.append(Text(f"run {run.run_id}: {found.trouble}"))
    picture = found.picture
    if picture is None:
        return Group(*lines)
    progress = picture.progress
    since = f"{_span(picture.elapsed_s)} since Ray was ready"
    doing_now = "as it was last: " if found.trouble else ""
    lines.append(Text(f"{doing_now}run {picture.run_id}, driver on {picture.driver}: {doing(progress)}, {since}"))
    lines.append(Text("  ".join(of_seconds(progress))))
    lines.append(Text("  ".join(of_entries(progress))))
    rows, writing = counted(picture.rows, "row"), counted(picture.writing, "entry", "entries")
    lines.append(Text(f"queue: {rows} of work in the cells, {writing} to be written; quiet for {picture.quiet_s:.0f} s"))
    if picture.cells < picture.cells_wanted:
        lines.append(Text(f"cells: {picture.cells} of {picture.cells_wanted} are running"))
    if not found.trouble:
        lines += [_cells(picture), _reading(picture)]
    return Group(*lines)


def _cells(picture: RunPicture) -> Table:
    table = Table(*folding("cell", "model", "now", "for", "calls", "busy (all cells)"))
    for number, cell in enumerate(picture.cells_now, 1):
        for place, (name, model) in enumerate(cell.models.items()):
            busy = picture.busy.get(name)
            now = "\n".join(call.entry for call in model.calls) or _idle(model.loaded, model.lost, model.actors)
            took = "\n".join(f"{call.for_s:.1f} s" for call in model.calls)
            share = "" if busy is None else f"{busy:.0%}"
            table.add_row(*map(_text, (f"{number} {cell.node}" if not place else "", name, now, took, str(model.queued), share)))
    return table


def _text(cell: str) -> Text:
    # Before the table is laid out: rich takes control characters for zero columns, and cuts what is put in their place.
    return Text(terminal_safe(cell))


def _idle(loaded: int, lost: int, actors: int) -> str:
    if lost == actors:
        return "lost for good"
    return "waits for work" if loaded else "loads"


def _reading(picture: RunPicture) -> RenderableType:
    if not picture.reading:
        return Text("nothing is being read")
    table = Table(*folding("read on", "entry", "for"))
    for one in sorted(picture.reading, key=lambda one: -one.for_s):
        table.add_row(*map(_text, (one.node, one.entry, f"{one.for_s:.1f} s")))
    return table


def _span(seconds: float) -> str:
    return str(timedelta(seconds=round(min(max(seconds, 0.0), 1e9))))
