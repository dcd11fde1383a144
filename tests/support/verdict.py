"""What a session of tests, or several tiers together, found: models that were run for real, skips by reason, failures."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    import pytest

NAMES_SHOWN = 3
MODEL_OF_ITEM = "runs a model for real"
"""Key of a report's `user_properties`: they travel from the process of a test to the one that counts."""


@dataclass
class Verdict:
    """Counts that can be added up."""

    outcomes: Counter[str] = field(default_factory=Counter)
    """Tests by `passed`, `failed`, `skipped`; an error in a fixture counts as `failed`."""
    models: Counter[str] = field(default_factory=Counter)
    """Passed tests by the model family they ran with real weights."""
    skipped: Counter[str] = field(default_factory=Counter)
    """Skipped tests by reason; what stands in brackets at a reason's end names the thing that is missing."""

    def count(self, report: pytest.TestReport) -> None:
        """Count one report of a test's set-up, call or tear-down."""
        if report.skipped:
            self.outcomes["skipped"] += 1
            self.skipped[_reason(report.longrepr)] += 1
        elif report.failed:
            self.outcomes["failed"] += 1
        elif report.when == "call":
            self.outcomes["passed"] += 1
            self.models.update(str(name) for key, name in report.user_properties if key == MODEL_OF_ITEM)

    def __iadd__(self, other: Verdict) -> Verdict:  # noqa: PYI034 -- no subclasses
        self.outcomes += other.outcomes
        self.models += other.models
        self.skipped += other.skipped
        return self

    def to_file(self, path: Path) -> None:
        """Write the counts as JSON."""
        path.write_text(json.dumps({"outcomes": self.outcomes, "models": self.models, "skipped": self.skipped}), encoding="utf-8")

    @classmethod
    def from_file(cls, path: Path) -> Verdict:
        """Read what `to_file` has written."""
        written = json.loads(path.read_text(encoding="utf-8"))
        return cls(*(Counter(written[name]) for name in ("outcomes", "models", "skipped")))

    def lines(self, models: Collection[str]) -> Iterator[str]:
        """Models with the tests that ran them for real, then the skipped tests grouped by reason."""
        yield "tests that ran a model for real: " + ", ".join(f"{name} {self.models[name]}" for name in models)
        yield f"skipped: {self.outcomes['skipped']}"
        groups: dict[str, Counter[str]] = {}
        for reason, count in self.skipped.items():
            said, named = _split(reason)
            groups.setdefault(said, Counter())[named] += count
        for said, names in sorted(groups.items(), key=lambda group: (-group[1].total(), group[0])):
            yield f"  {names.total():4} {said}{_shown([name for name in names if name])}"

    def untested(self, models: Collection[str]) -> list[str]:
        """Models that no passed test ran for real."""
        return [name for name in models if not self.models[name]]


def _reason(longrepr: Any) -> str:
    text = longrepr[2] if isinstance(longrepr, tuple) else str(longrepr)
    return str(text).removeprefix("Skipped: ")


def _split(reason: str) -> tuple[str, str]:
    found = re.fullmatch(r"(.*?) \[([^\[\]]+)\]", reason, re.DOTALL)
    return (found[1], found[2]) if found else (reason, "")


def _shown(names: list[str]) -> str:
    if not names:
        return ""
    more = [f"{len(names) - NAMES_SHOWN} more"] if len(names) > NAMES_SHOWN else []
    return f" [{', '.join([*names[:NAMES_SHOWN], *more])}]"
