"""What has become of a run's entries, in figures."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rumiai_ray.schema.run import ANALYSES, DEAD_LETTER, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rumiai_ray.runs.reader import Run


def _zeros() -> defaultdict[str, float]:
    return defaultdict(float)  # not a lambda in the dataclass: tallies are pickled


@dataclass
class Tally:
    """Counts of what became of entries: adds up over a run."""

    entries: Counter[str] = field(default_factory=Counter)
    """Entries by ending: `committed`, `dead_letter`."""
    statuses: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Analyses by (model, status)."""
    seconds: defaultdict[str, float] = field(default_factory=_zeros)
    """Time inside each model."""
    cpu_s: defaultdict[str, float] = field(default_factory=_zeros)
    """CPU time inside each model, all its threads."""
    frames: Counter[str] = field(default_factory=Counter)
    """Frames each model answered for."""
    video_s: float = 0.0
    """Length of all analysed videos, each counted once."""
    failures: Counter[str] = field(default_factory=Counter)
    """Failures and dead letters by `<where>: <error class>`."""
    origins: Counter[str] = field(default_factory=Counter)
    """Analysed videos by where their frames were: `hit`, `remote` or `miss`."""
    written_bytes: int = 0
    """Size of the data files."""

    @property
    def troubled(self) -> bool:
        """Whether there is a dead letter or a failed model."""
        return bool(self.entries["dead_letter"]) or any(status == Status.FAILED for _, status in self.statuses)

    def count_dead_letters(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Count rows of `dead_letter`."""
        for row in rows:
            self.entries["dead_letter"] += 1
            self.failures[f"{row['stage']}: {row['error_class']}"] += 1

    def count_analyses(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Count rows of `analyses`."""
        for row in rows:
            self.statuses[row["model_name"], row["status"]] += 1
            self.seconds[row["model_name"]] += row["processing_time_s"] or 0.0
            self.frames[row["model_name"]] += row["frames_analyzed"] or 0
            if row["error_class"]:
                self.failures[f"{row['model_name']}: {row['error_class']}"] += 1

    def add(self, other: Tally) -> None:
        """Count `other`'s counts too."""
        self.entries.update(other.entries)
        self.statuses.update(other.statuses)
        for model, seconds in other.seconds.items():
            self.seconds[model] += seconds
        for model, cpu_s in other.cpu_s.items():
            self.cpu_s[model] += cpu_s
        self.frames.update(other.frames)
        self.failures.update(other.failures)
        self.video_s += other.video_s
        self.origins.update(other.origins)
        self.written_bytes += other.written_bytes


def tally_of(run: Run) -> Tally:
    """The counts of what a run has already; without `cpu_s`, `video_s`, `origins` and `written_bytes`, which are of a session."""
    tally = Tally()
    tally.entries["committed"] = sum(state == "committed" for state in run.entries().values())
    tally.count_dead_letters(run.table(DEAD_LETTER.name, ["stage", "error_class"]).to_pylist())
    tally.count_analyses(
        run.table(ANALYSES.name, ["model_name", "status", "processing_time_s", "frames_analyzed", "error_class"]).to_pylist()
    )
    return tally
