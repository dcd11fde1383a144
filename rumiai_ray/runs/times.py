"""Times that manifests and commit records state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, AwareDatetime

if TYPE_CHECKING:
    from datetime import datetime

_YEARS = range(1970, 9999)
"""Python's calendar ends with the years 1 and 9999: a time of these years may have no UTC."""


def _of_a_clock(time: datetime) -> datetime:
    if time.year not in _YEARS:
        raise ValueError(f"the year {time.year} is not between {_YEARS[0]} and {_YEARS[-1]}")
    return time


RecordedTime = Annotated[AwareDatetime, AfterValidator(_of_a_clock)]
"""A time that a run's clock may have shown, in any time zone."""
