"""Downloads on stderr: a bar of bytes on a terminal, a line at the beginning of each elsewhere."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

from rumiai_ray.cli.terminal import SafeConsole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextlib.contextmanager
def download_bars() -> Iterator[tuple[Callable[[str], None], Callable[[str, int, int | None], None]]]:
    """Yields what prints a line above the bars, and what moves the bar of a download: (name, bytes here, bytes in all or None)."""
    console = SafeConsole(stderr=True)
    if not console.is_terminal:
        begun: set[str] = set()

        def announce(name: str, have: int, total: int | None) -> None:
            if name not in begun:
                begun.add(name)
                size = "" if total is None else f", {total / 1e6:.1f} MB"
                goes_on = f", going on after {have / 1e6:.1f} MB" if have else ""
                console.print(f"fetching {name}{size}{goes_on}", markup=False, highlight=False, soft_wrap=True)

        yield lambda line: console.print(line, markup=False, highlight=False, soft_wrap=True), announce
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        tasks: dict[str, TaskID] = {}

        def move(name: str, have: int, total: int | None) -> None:
            if name not in tasks:
                tasks[name] = progress.add_task(name, total=total)
            progress.update(tasks[name], completed=have, total=total)

        yield lambda line: console.print(line, markup=False, highlight=False, soft_wrap=True), move
