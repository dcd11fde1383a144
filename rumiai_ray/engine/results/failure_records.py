"""What the driver writes into the run's log of failures: from the messages that report them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rumiai_ray.errors import RumiaiError
from rumiai_ray.runs.failure_log import About
from rumiai_ray.tracebacks import traceback_of

if TYPE_CHECKING:
    from rumiai_ray.engine.cell.messages import Index
    from rumiai_ray.engine.work.item import Header
    from rumiai_ray.runs.failure_log import FailureLog


def log_answer(log: FailureLog, index: Index, source: str | None) -> None:
    """Log every attempt of a model that failed on one row of work; of a model that is gone for good the reason, once for each video.

    Args:
        log: the run's.
        index: how the models ended on the row.
        source: the entry's input, where it is known.
    """
    for model, outcome in index.outcomes.items():
        about = About(index.entry_id, source, index.video_key, model, node=index.done.node if index.done else None)
        for attempt, failure in enumerate(outcome.charged, 1):
            log.add("model", f"{failure.error_class}: {failure.message}", failure.traceback, replace(about, attempt=attempt))
        lost = outcome.failure
        if lost is not None and lost.given_up:
            log.add("model", f"{lost.error_class}: {lost.message}", lost.traceback, about, once=(index.entry_id, model))


def log_dead_letter(log: FailureLog, header: Header, error: BaseException | None = None) -> None:
    """Log why an entry is a dead letter.

    Args:
        log: the run's.
        header: the entry's.
        error: why it could not be assembled; None for one that could not be read, whose header says why.
    """
    entry, node = header.entry, header.reading.node if header.reading else None
    if header.plan is not None and error is not None:
        attempts = error.attempts if isinstance(error, RumiaiError) else 1
        about = About(entry.entry_id, entry.input, header.plan.video_key, attempt=attempts)
        log.add("assemble", f"{type(error).__name__}: {error}", traceback_of(error), about)
    elif header.plan is None:
        (row,) = header.row.to_pylist()
        about = About(entry.entry_id, entry.input, row["video_key"], attempt=row["attempts"], node=node)
        log.add(row["stage"], f"{row['error_class']}: {row['error_message']}", header.traceback, about)
