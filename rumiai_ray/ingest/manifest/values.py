"""Values of a manifest as plain text: the way they would stand in a CSV file."""

from __future__ import annotations

import json
import logging
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

_LOG = logging.getLogger(__name__)


def as_text(value: object) -> str:
    """A value as text: texts as they are, times in ISO 8601, decimals and integers digit by digit, nested values as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float | list | tuple | dict):
        return json.dumps(value, ensure_ascii=False, default=_plain)
    return _plain(value)


def _plain(value: object) -> str:
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, bytes):
        return _bytes_text(value)
    if isinstance(value, UUID | timedelta):
        return str(value)
    return str(value)


def _bytes_text(value: bytes) -> str:
    """The text in a BLOB, or its bytes as hexadecimal digits where they are no text."""
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        _LOG.debug("bytes that are no UTF-8 are shown as hex digits: %s", error)
        return value.hex()


def interval_text(value: bytes) -> str:
    """Parquet's INTERVAL as text, e.g. `14 months 3 days 04:05:06.789`.

    Args:
        value: 12 bytes: months, days and milliseconds, each an unsigned 32-bit integer, little-endian (the Parquet format's logical types).
    """
    months, days, ms = (int.from_bytes(value[at : at + 4], "little") for at in (0, 4, 8))
    counts = [f"{count} {unit if count == 1 else unit + 's'}" for count, unit in ((months, "month"), (days, "day")) if count]
    seconds, rest = divmod(ms, 1000)
    clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}" + (f".{rest:03}" if rest else "")
    return " ".join(counts + ([clock] if ms or not counts else []))
