"""How a run ends, whatever ends it: done, stopped by a signal, or by an error; and what may be printed where meanwhile."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TextIO

import typer
from rich.console import Console

from rumiai_ray.cli.exits import Exit
from rumiai_ray.cli.garbage import imports_are_done
from rumiai_ray.cli.overview import ending, failures, print_overview
from rumiai_ray.engine.interactive import Stopped
from rumiai_ray.errors import RumiaiError, StorageError
from rumiai_ray.runs.reader import open_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rumiai_ray.runs.reader import Run
    from rumiai_ray.runs.writer import RunWriter


class Stoppable(Protocol):
    """An engine."""

    def stop(self) -> None:
        """End between two steps, by raising `Stopped` where it runs."""


def run_to_the_end(
    engine: Stoppable,
    run: Callable[[], Literal["complete", "partial"]],
    writer: RunWriter,
    *,
    summary: Callable[[], dict[str, Any]] = dict,
    resumable: bool = False,
) -> Exit:
    """Run, and write the end record.

    Args:
        engine: what a signal stops.
        run: does the work and says how it went.
        writer: of the run.
        summary: figures for the end record, asked for when the run is done.
        resumable: a run that is stopped gets no end record, so that it can be resumed; otherwise it is marked aborted.
    """
    imports_are_done()
    try:
        with _stopping(engine):
            status = run()
        writer.finish(status, summary())
        if resumable:
            tell(open_run(writer.run.uri()))
    except Stopped:
        if resumable:
            typer.echo(f"stopped; go on with: rumiai-ray runs resume {writer.run.uri()}", err=True)
        else:
            writer.drop()
            writer.finish("aborted", {})
            typer.echo("aborted; what was committed before stays readable", err=True)
        return Exit.ABORTED
    except Exception as error:  # noqa: BLE001 -- the command's boundary: a run that was begun says how it ended, whatever happened
        said = f"{type(error).__name__}: {error}"
        typer.echo(
            said if isinstance(error, RumiaiError) else f"{said} (a bug of ours; the traceback is in {_keep_traceback(writer)})", err=True
        )
        if not resumable:
            # A full disk may refuse this too: then the run stays `incomplete`, and the line above is all there is to say.
            with contextlib.suppress(StorageError):
                writer.drop()
                writer.finish("aborted", {"error": said})
        return Exit.ABORTED
    return Exit.COMPLETE if status == "complete" else Exit.TROUBLED


def tell(run: Run) -> None:
    """How a batch has ended, on stderr: the failures by name as far as a person reads them, the figures, and where the run is."""
    console = Console(stderr=True)
    for line in failures(run):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    print_overview(run, console)
    console.print(ending(run), highlight=False, soft_wrap=True)


def _keep_traceback(writer: RunWriter) -> str:
    """Write the traceback being handled into the run's directory; returns where it is."""
    with contextlib.suppress(StorageError):
        writer.run.replace("traceback.txt", traceback.format_exc().encode())
    return writer.run.uri("traceback.txt")


@contextlib.contextmanager
def noise_to_stderr() -> Iterator[TextIO]:
    """Send everything that is printed to stderr. Ray reports a died worker on stdout, where a machine reads our JSON.

    Yields:
        What stdout was before, for what belongs there.
    """
    stdout, replaced = sys.stdout, sys.stdout is not sys.__stdout__
    stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        if replaced:  # by something that the noise does not reach
            yield stdout
        else:
            with os.fdopen(kept, "w", encoding=stdout.encoding, errors=stdout.errors, closefd=False) as before:
                yield before
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


@contextlib.contextmanager
def scratch_directory() -> Iterator[Path]:
    """A directory for downloads, removed at the end."""
    with tempfile.TemporaryDirectory(prefix="rumiai-", ignore_cleanup_errors=True) as name:
        yield Path(name)


@contextlib.contextmanager
def _stopping(engine: Stoppable) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM stops between two steps; a second one ends the process at once."""

    def stop(number: int, _frame: object) -> None:
        engine.stop()
        signal.signal(number, signal.default_int_handler)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
