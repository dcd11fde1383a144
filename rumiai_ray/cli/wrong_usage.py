"""What is said of wrong usage, where typer's own words lead nobody on."""

from __future__ import annotations

import os
import re
import shlex
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rumiai_ray.cli.help_text import EVERYDAY
from rumiai_ray.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

_EVERYWHERE = ("--version", "--verbose", "--help")
_LISTS = frozenset({".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".xlsx", ".xls", ".ods"})
_EVERYDAY = {"--" + name.replace(".", "-").replace("_", "-") for name in EVERYDAY}
_NO_DATE = re.compile(r"does not match the formats '%Y-%m-%d'\.?")


def in_our_words(message: str) -> str:
    """A message of typer or pydantic without the words that are meant for programmers."""
    return _NO_DATE.sub("is not a date (expected YYYY-MM-DD)", message.replace("Value error, ", ""))


def possible_options(wrong: str, error: Any) -> list[str]:
    """The options that `wrong` may have meant: those that end so (of these the everyday ones, if there are any), else similar ones."""
    context = getattr(error, "ctx", None)
    there = [name for parameter in context.command.get_params(context) for name in parameter.opts] if context is not None else []
    ends = [name for name in there if name.endswith(f"-{wrong.lstrip('-')}")]
    similar = {*(getattr(error, "possibilities", None) or ()), *get_close_matches(wrong, _EVERYWHERE, cutoff=0.75)}
    return [name for name in ends if name in _EVERYDAY] or ends or sorted(similar)


def check_batch(arguments: Sequence[str]) -> None:
    """Raises `ConfigError` for `batch posts.csv`: the manifest is the value of an option."""
    verb, given, *_ = [*arguments, "", ""]
    if verb == "batch" and given not in {"", "help"} and not given.startswith("-"):
        raise ConfigError("`batch` takes its manifest as an option", repr(given), f"rumiai-ray batch --manifest {shlex.quote(given)}")


def check_no_list(inputs: Sequence[str]) -> None:
    """Raises `ConfigError` for a list of videos that is given as a video."""
    for given in inputs:
        if Path(given).suffix.lower() in _LISTS and os.path.isfile(given):  # noqa: PTH113 -- a Path would normalise the name
            raise ConfigError("a list, not a video", repr(given), f"rumiai-ray batch --manifest {shlex.quote(given)}")
