"""Tracebacks as bounded text that travels with a failure, and addresses without the secrets in them.

A traceback object stays in the process that raised. Its text is taken there, bounded, and sent along: as a field of the message that
reports the failure, or on the exception itself, whose attributes are pickled with it.
"""

from __future__ import annotations

import re
import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST_CHARACTERS = 8000
"""Of one traceback: about 100 lines. Some libraries put whole weight tensors into their messages."""
_KEPT_START = 2000
_ATTRIBUTE = "traceback_text"

_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_ADDRESS = re.compile(r"\b([A-Za-z][A-Za-z0-9+.\-]*://)([^\s'\"<>`]+)")
_ASSIGNED = re.compile(
    r"((?:x-amz-\w[\w-]*|x-goog-\w[\w-]*|signature|sig|password|passwd|token|\w*api_?key|\w*access_?key\w*|\w*secret\w*|\w*credential\w*)"
    r"['\"]?(?:=|:\s*)['\"]?)(?:[^\s&'\",;)\]}]+)",
    re.IGNORECASE,
)
_AUTHORIZATION = re.compile(r"(\b(?:proxy-)?authorization['\"]?\s*[:=]\s*['\"]?)[^\r\n'\"]+", re.IGNORECASE)
_PORT = re.compile(r":\d*$")


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


def without_secrets(text: str, known: Sequence[str] = ()) -> str:
    """`text` whose addresses have no user name, password, query string or fragment, and no value of a signature or key.

    Args:
        text: of a message or a traceback.
        known: addresses that may stand in it, which may hold characters that no address should (a space in a signature).
    """
    for address in known:
        bare = _without_query(address)
        if bare != address:
            text = text.replace(address, bare)
    text = _ADDRESS.sub(lambda found: _without_query(found[0]), text)
    return _AUTHORIZATION.sub(r"\1…", _ASSIGNED.sub(r"\1…", text))


def _without_query(address: str) -> str:
    """An address without user information, query and fragment; anything else as it is."""
    scheme, separator, rest = address.partition("://")
    if not separator:
        return address
    cut = min((at for at in (rest.find("?"), rest.find("#")) if at >= 0), default=len(rest))
    place, hidden = rest[:cut], "?…" if rest[cut:] else ""
    authority, slash, path = place.partition("/")
    if "@" in authority:
        authority = authority.rpartition("@")[2]
    elif ":" in _PORT.sub("", authority) and not authority.startswith("[") and "@" in rest:
        # A password with a slash or a question mark in it: what looks like the host is the user.
        after = rest.rpartition("@")[2]
        return _without_query(f"{scheme}://{after}")
    return f"{scheme}://{authority}{slash}{path}{hidden}"


def _is_of_a_task(error: BaseException) -> bool:
    """Whether Ray has brought it from a task. By name: what reads runs must not import Ray."""
    return any(kind.__name__ == "RayTaskError" for kind in type(error).__mro__)
