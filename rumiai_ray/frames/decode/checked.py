"""Values in the decoder's messages. A decoder that a video has taken over sends what that video's maker likes, in valid JSON."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from rumiai_ray.frames.types import SourceFacts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_INT32_MAX = 2**31 - 1
_INT64_MAX = 2**63 - 1
_TEXT_CHARS = 2000
_LIST_ITEMS = 10_000
_BYTES_A_SAMPLE = 2


def count(value: Any, most: int = _INT64_MAX) -> int:
    """A whole number from 0 to `most`. Raises `TypeError` or `ValueError` for anything else, as every function here does."""
    if type(value) is not int:
        raise TypeError(f"not a whole number but {type(value).__name__}")
    if not 0 <= value <= most:
        raise ValueError("a number that is out of range")
    return value


def seconds(value: Any) -> float:
    """A finite number."""
    if type(value) not in (int, float):
        raise TypeError(f"not a number but {type(value).__name__}")
    try:
        number = float(value)
    except OverflowError as error:
        raise ValueError("a number that is out of range") from error
    if not math.isfinite(number):
        raise ValueError("a number that is not finite")
    return number


def truth(value: Any) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"not a boolean but {type(value).__name__}")
    return value


def times(value: Any) -> tuple[float, ...]:
    """A list of finite numbers."""
    if not isinstance(value, list):
        raise TypeError(f"not a list but {type(value).__name__}")
    return tuple(map(seconds, value))


def text(value: Any) -> str:
    """Text that a table can hold, at most 2,000 characters of it."""
    if not isinstance(value, str):
        raise TypeError(f"not a text but {type(value).__name__}")
    return value[:_TEXT_CHARS].encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def samples(payload: bytes | bytearray) -> bytes:
    """Whole samples of 16 bits."""
    if len(payload) % _BYTES_A_SAMPLE:
        raise ValueError("half a sample")
    return bytes(payload)


def facts(value: Any) -> SourceFacts:
    """The facts, every one of its declared type and in range."""
    if not isinstance(value, dict):
        raise TypeError(f"not facts but {type(value).__name__}")
    return SourceFacts.of({name: _READERS.get(_TYPES.get(name, ""), _unknown)(one) for name, one in value.items()})


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list) or len(value) > _LIST_ITEMS:
        raise TypeError("not a list, or a list that is too long")
    return [text(one) for one in value]


def _or_none(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else read(value)


def _unknown(value: Any) -> Any:
    raise KeyError(f"a fact that is not known, {type(value).__name__}")


_TYPES = {field.name: str(field.type) for field in fields(SourceFacts)} | {"size_bytes": "size"}
_READERS: Mapping[str, Callable[[Any], Any]] = {
    "size": count,
    "bool": truth,
    "bool | None": _or_none(truth),
    "int": lambda value: count(value, _INT32_MAX),
    "float": seconds,
    "int | None": _or_none(lambda value: count(value, _INT32_MAX)),
    "float | None": _or_none(seconds),
    "str": text,
    "str | None": _or_none(text),
    "tuple[str, ...]": _texts,
}
