"""How many videos the first of two cohorts has: a share of them, or a number."""

from __future__ import annotations

import math
import re

from rumiai_ray.errors import ConfigError

TOP = "25%"
_TOP = re.compile(r"(\d{1,3}(?:\.\d{1,6})?)\s?%|(\d{1,12})", re.ASCII)


def parsed_top(top: str) -> tuple[float | None, int | None]:
    """A share or a number of videos.

    Raises:
        ConfigError: the text is neither.
    """
    found = _TOP.fullmatch(top.strip())
    percent = None if found is None or found[1] is None else float(found[1])
    number = None if found is None or found[2] is None else int(found[2])
    if not (percent is not None and 0 < percent < 100) and not number:  # noqa: PLR2004 -- percent
        raise ConfigError("not a share or a number of videos", repr(top), "give a share such as 25%, or a number such as 50")
    return None if percent is None else percent / 100, number


def cohort_size(share: float | None, number: int | None, videos: int) -> int:
    """How many of some videos a share, rounded up, or a number is; the number may be larger than that of the videos."""
    return math.ceil(share * videos - 1e-9) if share is not None else int(number or 0)
