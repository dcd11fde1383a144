"""Figures as people read them. What was not measured is a dash with its reason, never a zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ABSENT = "—"
UNREADABLE = "(script not readable)"
"""A text that was found and that no loaded recogniser reads."""
_SHOWN_UNITS = {"1/min": "a minute", "1/s": "a second", "full scale": ""}
"""Units that are words on a page; the others are shown as the schema has them."""
_MINUTE_S = 60
_HOUR_S = 3600
_DAY_H = 24
_SHORT_S = 10
"""Below this, tenths of a second would make 0.0 of a measured time."""


@dataclass(frozen=True)
class ShownFigure:
    """One figure on a page."""

    text: str
    sort: float | str | None = None
    """What a table is sorted by; None comes last whatever the order."""
    why: str | None = None
    """Why there is none."""

    @property
    def absent(self) -> bool:
        """Whether nothing was measured."""
        return self.text == ABSENT


def absent(why: str) -> ShownFigure:
    """A figure that nobody measured."""
    return ShownFigure(ABSENT, None, why)


def count(number: int | None, why: str | None = None) -> ShownFigure:
    """A number of things, or a dash."""
    return (
        absent(why or "not measured")
        if number is None or why
        else ShownFigure(f"{number:,}".replace(",", "\N{NARROW NO-BREAK SPACE}"), number)
    )


def share(value: float | None, why: str | None = None) -> ShownFigure:
    """A share of 1 in percent."""
    return absent(why or "not measured") if value is None or why else ShownFigure(f"{100 * value:.0f} %", value)


def seconds(value: float | None, why: str | None = None) -> ShownFigure:
    """A duration."""
    if value is None or why:
        return absent(why or "not measured")
    if value >= _MINUTE_S:
        return ShownFigure(clock(value) if round(value) < _HOUR_S else _hours(value), value)
    return ShownFigure(f"{value:.1f} s" if value >= _SHORT_S else f"{value:.2f} s", value)


def _hours(value_s: float) -> str:
    """A time as hours and minutes, from a day on as days and hours."""
    minutes = round(value_s / _MINUTE_S)
    if minutes < _DAY_H * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    hours = round(value_s / _HOUR_S)
    return f"{hours // _DAY_H} d {hours % _DAY_H} h"


def clock(value_s: float) -> str:
    """A time as minutes and seconds: 1:05."""
    whole = round(value_s)
    return f"{whole // _MINUTE_S}:{whole % _MINUTE_S:02d}"


def percent(value: float) -> str:
    """A position or length in percent, as SVG wants it."""
    return f"{100 * value:.3f}%"


def of_column(value: Any, field: pa.Field[Any], why: str) -> ShownFigure:
    """A value of a table's column, by the type, unit and range its schema states."""
    if value is None:
        return absent(why)
    facts = facts_of(field)
    unit, shown_unit = facts.get("unit", ""), unit_of(field)
    if isinstance(value, bool):
        return ShownFigure("yes" if value else "no", float(value))
    if isinstance(value, float):
        if facts.get("range") == "0..1" and not unit:
            return share(value)
        return ShownFigure(f"{value:.3g} {shown_unit}".strip(), value)
    return ShownFigure(f"{value} {shown_unit}".strip(), value if isinstance(value, int) else str(value))


def facts_of(field: pa.Field[Any]) -> dict[str, str]:
    """What a schema says about a column."""
    return {key.decode(): text.decode() for key, text in (field.metadata or {}).items()}


def unit_of(field: pa.Field[Any]) -> str:
    """A column's unit as a page shows it."""
    unit = facts_of(field).get("unit", "")
    return _SHOWN_UNITS.get(unit, unit)


def is_plain(field: pa.Field[Any]) -> bool:
    """Whether a column holds one value a row."""
    return not pa.types.is_nested(field.type)


def in_words(name: str) -> str:
    """A column's name as a label: `face_visibility_rate` is "face visibility rate"."""
    return name.removesuffix("_s").replace("_s2", "").replace("_", " ")


def listed(counts: Mapping[str, int], most: int = 6) -> str:
    """Things with how often: "person ×2, dog"."""
    names = [name + (f" ×{number}" if number > 1 else "") for name, number in list(counts.items())[:most]]
    return ", ".join(names) + (" …" if len(counts) > most else "")


def middle(values: Sequence[float]) -> float | None:
    """The median; None of nothing."""
    ordered = sorted(values)
    half = len(ordered) // 2
    return None if not ordered else ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
