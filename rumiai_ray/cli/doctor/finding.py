"""What a check of the machine says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["ok", "warning", "error"]


@dataclass(frozen=True)
class Finding:
    """The outcome of one check."""

    check: str
    """What was looked at, in a word or two."""
    status: Severity
    """`error` where a run would fail, `warning` where it would be slower, poorer or leave a question open."""
    message: str
    """What was found."""
    remedy: str = ""
    """What to do about it; empty only where the status is `ok`."""
