"""Names of runs. A run id is a directory name, so it is nothing that could be taken for a path, an option or a pattern."""

from __future__ import annotations

import re
import secrets
from datetime import UTC
from typing import TYPE_CHECKING

from rumiai_ray.errors import ConfigError

if TYPE_CHECKING:
    from datetime import datetime

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def new_run_id(now: datetime) -> str:
    """A new run's id, e.g. `20261122T150712Z-3f9a1c`: sorts by time, the random end tells runs of one second apart.

    Args:
        now: an aware time, in any zone.
    """
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def check_run_id(run_id: str) -> str:
    """`run_id` itself where it can name a run.

    Raises:
        ConfigError: it is empty, too long, begins with a sign, or holds anything but letters, digits, `.`, `_` and `-`.
    """
    if not _RUN_ID.fullmatch(run_id):
        raise ConfigError(
            "not a run id", repr(run_id), "use up to 100 letters, digits, '.', '_' and '-', beginning with a letter or a digit"
        )
    return run_id
