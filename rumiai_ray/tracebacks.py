"""Tracebacks as bounded text that travels with a failure.

A traceback object stays in the process that raised. Its text is taken there, bounded, and sent along: as a field of the message that
reports the failure, or on the exception itself, whose attributes are pickled with it.
"""

from __future__ import annotations

import re
import traceback

LONGEST_CHARACTERS = 8000
"""Of one traceback: about 100 lines. Some libraries put whole weight tensors into their messages."""
_KEPT_START = 2000
_ATTRIBUTE = "traceback_text"

_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def traceback_of(error: BaseException) -> str:
    """The traceback of `error` as text of at most `LONGEST_CHARACTERS`; empty for an exception that was never raised.

    The text of the process that raised it comes first: what `keep_traceback` has put on it, or what Ray reports of a task.
    """
    kept = getattr(error, _ATTRIBUTE, None)
    if isinstance(kept, str) and kept:
        return kept
    if _is_of_a_task(error):
        return bounded(str(error))
    if error.__traceback__ is None and error.__cause__ is None:
        return ""
    return bounded("".join(traceback.format_exception(error)))


def keep_traceback(error: BaseException, text: str) -> None:
    """Put the text of a traceback on an exception, for `traceback_of` in another process. One that takes no attributes keeps its own."""
    if text and hasattr(error, "__dict__"):
        vars(error)[_ATTRIBUTE] = bounded(text)


def bounded(text: str) -> str:
    """`text` without terminal colours; of one that is too long the start and the end, which says the most."""
    plain = _ANSI.sub("", text)
    if len(plain) <= LONGEST_CHARACTERS:
        return plain
    end = LONGEST_CHARACTERS - _KEPT_START
    return f"{plain[:_KEPT_START]}\n… {len(plain) - LONGEST_CHARACTERS} characters left out …\n{plain[-end:]}"


def _is_of_a_task(error: BaseException) -> bool:
    """Whether Ray has brought it from a task. By name: what reads runs must not import Ray."""
    return any(kind.__name__ == "RayTaskError" for kind in type(error).__mro__)
