"""What is said of wrong usage, where typer's own words lead nobody on."""

from __future__ import annotations

import os
import re
import shlex
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from rumiai_ray.cli.help_text import EVERYDAY
from rumiai_ray.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

_EVERYWHERE = ("--version", "--verbose", "--help")
_HELP = {"-h", "--help", "--help-all"}
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
    if verb == "batch" and given not in {"", "help"} and not given.startswith("-") and not _HELP & set(arguments):
        raise ConfigError("`batch` takes its manifest as the option --manifest", repr(given), _as_manifest(given))


def check_no_list(inputs: Sequence[str]) -> None:
    """Raises `ConfigError` for a list of videos, a spreadsheet or a packed file that is given as a video."""
    from rumiai_ray.ingest.manifest.rows import is_manifest, to_convert  # noqa: PLC0415 -- only needed here

    for given in inputs:
        convert = to_convert(given)
        if (convert or is_manifest(given)) and os.path.isfile(given):  # noqa: PTH113 -- a Path would normalise the name
            if convert:
                raise ConfigError(f"{_kind(convert)}, not a video", repr(given), convert[1])
            raise ConfigError("a list, not a video", repr(given), _as_manifest(given))


def _as_manifest(given: str) -> str:
    """What to type instead, and before that what to do with a file that is no manifest as it is."""
    from rumiai_ray.ingest.manifest.rows import to_convert  # noqa: PLC0415 -- only needed here

    convert = to_convert(given)
    if convert is None:
        return f"rumiai-ray batch --manifest {shlex.quote(given)}"
    return f"{_kind(convert)}: {convert[1]}, then rumiai-ray batch --manifest FILE"


def _kind(convert: tuple[str, str]) -> str:
    """`a spreadsheet`, of `to_convert`."""
    return convert[0].rpartition(": ")[2]
