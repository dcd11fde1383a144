"""How a run ends, whatever ends it: done, stopped by a signal, or by an error; and what may be printed where meanwhile."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import tempfile
import threading
import traceback
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TextIO

from rumiai_ray.cli.exits import Exit
from rumiai_ray.cli.garbage import imports_are_done
from rumiai_ray.cli.output import as_standard_error, mark_errors
from rumiai_ray.cli.overview import ending, failures, print_overview
from rumiai_ray.cli.terminal import SafeConsole, say
from rumiai_ray.disk import remove_tree
from rumiai_ray.engine.drive.endings import HostsRefuse
from rumiai_ray.engine.interactive import Stopped
from rumiai_ray.engine.ray_session import supervisor as supervise
from rumiai_ray.errors import RumiaiError, StorageError
from rumiai_ray.ingest.manners import LEFT_ALONE
from rumiai_ray.logs import swallowed
from rumiai_ray.runs.reader import open_run
from rumiai_ray.shown import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rumiai_ray.cli.end_hook import EndHook, HookStatus
    from rumiai_ray.runs.reader import Run
    from rumiai_ray.runs.writer import RunWriter

_LOG = logging.getLogger(__name__)
_DRAIN_MARGIN_S = 15.0
"""What the engine's own limit is exceeded by before the process is ended: cells are closed after the drain."""


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
    drain_s: float | None = None,
    on_end: EndHook | None = None,
) -> Exit:
    """Run, write the end record, and call what is to be called at the end.

    Args:
        engine: what a signal stops.
        run: does the work and says how it went.
        writer: of the run.
        summary: figures for the end record, asked for when the run is done.
        resumable: a run that is stopped gets no end record, so that it can be resumed; otherwise it is marked aborted.
        drain_s: time that a stopped engine takes to finish the rows in flight; a process that takes much longer is ended.
        on_end: what is called. A second signal ends the process without it.
    """
    imports_are_done()
    supervise.tell(run=writer.run.uri(), resumable=resumable)
    status, code = _ended(engine, run, writer, summary, resumable=resumable, drain_s=drain_s)
    if resumable and status in {"complete", "partial"}:
        _tell(writer)
    _call_hook(on_end, writer, status, code)
    if resumable and status != "aborted":
        _is_said(code)
    return code


def _ended(
    engine: Stoppable,
    run: Callable[[], Literal["complete", "partial"]],
    writer: RunWriter,
    summary: Callable[[], dict[str, Any]],
    *,
    resumable: bool,
    drain_s: float | None,
) -> tuple[HookStatus, Exit]:
    """Run, write the end record, and say why where the run has been stopped or broken off. Arguments as of `run_to_the_end`."""
    try:
        with _stopping(engine, drain_s):
            status = run()
        writer.finish(status, summary())
    except Stopped as stopped:
        _end_stopped(stopped, writer, resumable=resumable)
        return "stopped" if resumable else "aborted", Exit.ABORTED
    except KeyboardInterrupt:  # a second signal
        if resumable:
            say(f"stopped; continue with: rumiai-ray runs resume {writer.run.uri()}", err=True)
        raise
    except Exception as error:  # noqa: BLE001 -- the command's boundary: a run that was begun says how it ended, whatever happened
        said = shown(f"{type(error).__name__}: {error}")
        if isinstance(error, RumiaiError):
            say(said, err=True)
        else:
            _say_bug(said, writer)
        if resumable:
            say(f"what was committed stays; continue with: rumiai-ray runs resume {writer.run.uri()}", err=True)
        else:
            _mark_aborted(writer, {"error": said})
        return "aborted", Exit.ABORTED
    return status, Exit.COMPLETE if status == "complete" else Exit.TROUBLED


def _mark_aborted(writer: RunWriter, summary: dict[str, Any]) -> None:
    """Write that the run was aborted. A full disk may refuse this, too: then the run stays `incomplete`; why it ended is said anyway."""
    with swallowed(_LOG, f"marking {writer.run.uri()} as aborted", StorageError):
        writer.drop()
        writer.finish("aborted", summary)


def _end_stopped(stopped: Stopped, writer: RunWriter, *, resumable: bool) -> None:
    """Say why the run has ended before its entries did, and how it goes on; mark it where it cannot."""
    uri = writer.run.uri()
    if isinstance(stopped, HostsRefuse):
        _tell(writer)
        for host in stopped.hosts:
            say(
                f"{host.host} refuses: {host.why}; worth asking again after {datetime.fromtimestamp(host.until_s, UTC):%Y-%m-%d %H:%M} UTC",
                err=True,
            )
        entries = "1 entry is" if stopped.entries == 1 else f"{stopped.entries:,} entries are"
        when = f"resume after {stopped.until:%Y-%m-%d %H:%M} UTC with: rumiai-ray runs resume {uri}"
        say(f"incomplete: {entries} left undone; {when} ({LEFT_ALONE})", err=True)
    elif resumable:
        say(f"stopped; continue with: rumiai-ray runs resume {uri}", err=True)
    else:
        _mark_aborted(writer, {})
        say("aborted; what was committed before stays readable", err=True)


def _call_hook(on_end: EndHook | None, writer: RunWriter, status: HookStatus, code: Exit) -> None:
    """Call what the user wants to be called at the end of a run, with what the run's records say."""
    if on_end is None:
        return
    from rumiai_ray.cli.end_hook import RunEnd, call  # noqa: PLC0415 -- most commands have none

    try:
        states = Counter(open_run(writer.run.uri()).entries().values())
    except RumiaiError as error:  # the storage that has ended the run, say
        say(f"the end hook gets no counts, since the run cannot be read: {error}", err=True)
        states = Counter()
    end = RunEnd(
        writer.manifest.run_id, writer.run.uri(), status, int(code), committed=states["committed"], dead_letters=states["dead_lettered"]
    )
    call(on_end, end)


def _is_said(code: Exit) -> None:
    """Let the process above the driver know that nothing is left to say: closing Ray on a busy machine, Ray may end the driver itself."""
    supervise.tell(ended=int(code))


def _tell(writer: RunWriter) -> None:
    """`tell` of a run that has ended: what goes wrong while it is told is said, and changes neither its exit code nor its hook's call."""
    try:
        tell(open_run(writer.run.uri()))
    except Exception as error:  # noqa: BLE001 -- the run has ended, whatever becomes of what is said about it
        why = f"{type(error).__name__}: {error}"
        say(f"the run has ended; its figures cannot be shown: {why} (`rumiai-ray runs show {writer.run.uri()}`)", err=True)


def tell(run: Run) -> None:
    """How a batch has ended, on stderr: the failures by name as far as a person reads them, the figures, and where the run is."""
    console = SafeConsole(stderr=True)
    for line in failures(run):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    print_overview(run, console)
    console.print(ending(run), highlight=False, soft_wrap=True)


def _say_bug(said: str, writer: RunWriter) -> None:
    """Say which error it is and where its traceback is: in the run's directory or, where no file can be written there, on stderr.

    Args:
        said: the error that is being handled, as shown.
        writer: of the run that it ended.
    """
    text = shown(traceback.format_exc())
    try:
        writer.run.replace("traceback.txt", text.encode(errors="backslashreplace"))
    except RumiaiError as error:  # a full disk, say, which may have been the cause of the bug
        say(
            f"{text.rstrip()}\n{said} (a bug in rumiai_ray; please report it with the traceback above, which could not be saved: {error})",
            err=True,
        )
    else:
        say(f"{said} (a bug in rumiai_ray; please report it with the traceback in {writer.run.uri('traceback.txt')})", err=True)


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
    with as_standard_error(stdout):
        try:
            if replaced:  # by something that the noise does not reach
                yield stdout
            else:
                with os.fdopen(kept, "w", encoding=stdout.encoding, errors=stdout.errors, closefd=False) as before:
                    mark_errors(before)
                    yield before
        finally:
            sys.stdout.flush()
            os.dup2(kept, 1)
            os.close(kept)


@contextlib.contextmanager
def scratch_directory() -> Iterator[Path]:
    """A directory for downloads, removed at the end."""
    path = Path(tempfile.mkdtemp(prefix="rumiai-"))
    try:
        yield path
    finally:
        remove_tree(path)


@contextlib.contextmanager
def _stopping(engine: Stoppable, drain_s: float | None) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM stops between two steps; a second one ends the process at once.

    Args:
        engine: what is stopped.
        drain_s: see `run_to_the_end`.
    """
    timers: list[threading.Timer] = []

    def stop(number: int, _frame: object) -> None:
        engine.stop()
        signal.signal(number, signal.default_int_handler)
        if drain_s is not None:
            limit_s = drain_s + _DRAIN_MARGIN_S
            timers.append(threading.Timer(limit_s, supervise.end_as_lost, [f"it did not let the run end within {limit_s:g} s of a signal"]))
            timers[-1].daemon = True
            timers[-1].start()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for timer in timers:
            timer.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)
