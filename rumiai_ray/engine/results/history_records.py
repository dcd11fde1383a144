"""What the driver writes into the run's log of its entries' history: from the messages that report it."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from rumiai_ray.errors import StorageError
from rumiai_ray.logs import swallowed
from rumiai_ray.runs.history_log import AnalysisFact, HistoryLine, ModelFact, ReadingFact, read_history
from rumiai_ray.runs.line_log import now

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rumiai_ray.engine.cell.messages import Index, Outcome
    from rumiai_ray.engine.results.entry_tracker import Ended
    from rumiai_ray.engine.work.entry_registry import ReadingBegun
    from rumiai_ray.ingest.manners import Paused
    from rumiai_ray.runs.history_log import HistoryLog
    from rumiai_ray.storage import Store

_LOG = logging.getLogger(__name__)


def log_readings(log: HistoryLog, readings: Iterable[ReadingBegun]) -> None:
    """Log where entries are being read."""
    for reading in readings:
        line = HistoryLine(time=now(), event="reading", entry=reading.entry_id, node=reading.node, attempt=reading.attempt)
        log.add(line, ordinary=reading.attempt == 1)


def log_lost(log: HistoryLog, entry_ids: Iterable[str], why: str) -> None:
    """Log that entries have lost rows and are read again from the start."""
    for entry_id in entry_ids:
        log.add(HistoryLine(time=now(), event="lost", entry=entry_id, detail=why))


def log_put_off(log: HistoryLog, entry_id: str, paused: Paused) -> None:
    """Log that an entry is left undone, since its host is left alone."""
    until = paused.until_s if paused.of_entry else None
    log.add(HistoryLine(time=now(), event="put_off", entry=entry_id, refused_until=until, detail=f"{paused.host} refuses: {paused.why}"))


def refused_before(run: Store, now_s: float) -> frozenset[str]:
    """Entries of a run that a host has refused, in a session before, and that it was then to be asked for again by now.

    None where a log cannot be read: such an entry is then left undone once more.
    """
    found = set[str]()
    with swallowed(_LOG, "reading which entries their hosts have refused before", StorageError):
        for _, line in read_history(run):
            if line.entry and line.refused_until is not None and line.refused_until <= now_s:
                found.add(line.entry)
    return frozenset(found)


def log_ended(log: HistoryLog, ended: Ended) -> None:
    """Log how an entry's reading and analysis went, once it is in the run."""
    settled, header = ended.settled, ended.settled.header
    dead = header.plan is None or ended.error is not None
    analysis = _analysis([index for index, _ in settled.answers]) if settled.answers else None
    reading = header.reading
    line = HistoryLine(
        time=now(),
        event="ended",
        entry=header.entry.entry_id,
        outcome="dead_letter" if dead else "copy" if settled.repeat else "committed",
        reading=None if reading is None else ReadingFact(node=reading.node, began=reading.began, took_s=round(reading.took_s, 3)),
        analysis=analysis,
    )
    log.add(line, ordinary=not dead and (analysis is None or _went_well(analysis)))


def _went_well(analysis: AnalysisFact) -> bool:
    return not analysis.resent and all(model.attempts <= 1 and not model.failed_rows for model in analysis.models.values())


def _analysis(answers: list[Index]) -> AnalysisFact:
    outcomes: defaultdict[str, list[Outcome]] = defaultdict(list)
    for index in answers:
        for model, outcome in index.outcomes.items():
            outcomes[model].append(outcome)
    done = [index.done for index in answers if index.done is not None]
    return AnalysisFact(
        rows=len(answers),
        nodes=dict(Counter(one.node for one in done)),
        resent=sum(max(index.sent - 1, 0) for index in answers),
        began=min((one.began for one in done), default=None),
        ended=max((one.began + one.took_s for one in done), default=None),
        models={model: _model(of_model) for model, of_model in outcomes.items()},
    )


def _model(outcomes: list[Outcome]) -> ModelFact:
    return ModelFact(
        attempts=max(outcome.attempts for outcome in outcomes),
        failed_rows=sum(outcome.failure is not None for outcome in outcomes),
        seconds=round(sum(outcome.processing_time_s or 0.0 for outcome in outcomes), 3),
        cpu_s=round(sum(outcome.cpu_s for outcome in outcomes), 3),
    )
