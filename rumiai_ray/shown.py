"""How text from outside is shown: addresses without their secrets, and characters that a terminal would obey made visible.

Everything that is written or printed goes through these two, for every reader: tables, manifest, logs, messages, exports, pages. The one
exception is the file in a run's `private/` directory, which a resume and a retry need.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

HIDDEN = "…"
"""Stands where something was left out."""

_PUBLIC = {
    "youtube.com": {"v", "list"},
    "youtube-nocookie.com": {"v", "list"},
    "facebook.com": {"v", "story_fbid", "id"},
    "douyin.com": {"modal_id"},
}
"""Parameters that name the post itself, by site: without them nobody could tell one address from another."""
_PUBLIC_VALUE = re.compile(r"[A-Za-z0-9_-]{1,48}")
_STORE_USER = ("abfs", "abfss")
"""Schemes whose user part is the name of a container."""
_SHORTEST_SECRET = 6
"""A known value of fewer characters is not looked for outside of addresses: it would be found in every second word."""

# No part of these patterns is tried from every character of a long word, nor runs without a bound before what it waits for: a text of
# half a million letters takes milliseconds.
_ADDRESS = r"(?<![A-Za-z0-9+.\-])[A-Za-z][A-Za-z0-9+.\-]{0,30}://[^\s'\"<>`]+"
_QUERY = r"\?[\w.~%\-\[\]]{1,100}=[^\s'\"<>`]*"
_ADDRESSES = re.compile(_ADDRESS)
_ADDRESSES_AND_QUERIES = re.compile(f"{_ADDRESS}|{_QUERY}")
_ASSIGNED = re.compile(
    r"((?<![A-Za-z0-9])(?:x-(?:amz|goog)-[\w-]{1,60}|(?:\w{1,40}[_-])?sig"
    r"|\w{0,40}(?:signature|password|passwd|token|api_?key|access_?key\w{0,20}|secret\w{0,40}|credential\w{0,20}))"
    r"['\"]?(?:=|:\s{0,8})['\"]?)(?:[^\s&'\",;)\]}]+)",
    re.IGNORECASE,
)
_HEADER = re.compile(r"(\b(?:(?:proxy-)?authorization|(?:set-)?cookie2?)['\"]?\s{0,8}[:=]\s{0,8}['\"]?)[^\r\n'\"]+", re.IGNORECASE)
_BEARER = re.compile(r"(\bbearer\s{1,8})[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
_WORD = re.compile(r"[A-Za-z]{1,11}(?=[,.;:)]?(?:\s|\Z))")
_SENTENCE_BEGINS = frozenset(
    {
        "a", "all", "an", "are", "at", "broken", "can", "cannot", "could", "denied", "directory", "every", "expected", "expired",
        "failed", "file", "for", "found", "from", "has", "if", "in", "input", "invalid", "is", "it", "its", "larger", "may", "missing",
        "more", "must", "neither", "no", "none", "not", "of", "on", "only", "operation", "output", "permission", "refused", "some",
        "that", "the", "there", "these", "this", "to", "too", "unknown", "unsupported", "was", "with", "without"
    }
)  # fmt: skip
"""Words after `key: ` that begin a sentence about a thing of that name, and are no value. Nothing that anybody would have for a secret."""
_PORT = re.compile(r":\d*$")
_INNER_USER = re.compile(r"(://)[^/?#\s@]*@")
_PATH_PARAMETER = re.compile(r";[^/;=]*=[^/;]*")

_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]"
)
"""Controls of C0 (but tab and line feed) and C1, what changes the direction of writing, breaks lines or is not seen at all."""

_FORMULA = "[=+\\-@＝＋－＠]"
_BLANKS = r"[\s']*"
_FORMULA_AT = rf"(?='*(?:[\t\r\n]|{_FORMULA}))"
_CELL_STARTS = re.compile(rf"\A{_FORMULA_AT}|(?<=[;\t\r\n])(?={_BLANKS}{_FORMULA})")
"""Where a spreadsheet would begin to read a formula: at the beginning of a cell, or after what it may take for the end of one. Apostrophes
that stand there already get one more, so that the way back is exact."""
_GUARDED_STARTS = re.compile(rf"\A'{_FORMULA_AT}|(?<=[;\t\r\n])'(?={_BLANKS}{_FORMULA})")

_LINE_BREAKS = frozenset("\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029")
"""Where `str.splitlines` ends a line."""


def shown(text: str, known: Iterable[str] = ()) -> str:
    """`text`, an address or a message with addresses in it, without what only the one who gave it may know.

    Addresses lose user name, password, fragment, path parameters and query; parameters that name a post on a known site stay. Values
    of signatures, keys, passwords, cookies and authorizations go wherever they stand, and so does every query without an address. A
    secret in the path of an address cannot be told from a name, and stays.

    Args:
        text: of an input, a message or a traceback.
        known: full addresses whose secrets go wherever they stand, also in parts.
    """
    text = hidden(text, known)
    text = _ADDRESSES_AND_QUERIES.sub(lambda found: f"?{HIDDEN}" if found[0].startswith("?") else _bare(found[0]), text)
    for pattern in (_ASSIGNED, _BEARER, _HEADER):
        text = pattern.sub(_without_value, text)
    return text


def _without_value(found: re.Match[str]) -> str:
    """A key without its value; as it is where a sentence follows: `…/passwd: no media file` is said of a file of that name.

    A value with an equals sign is never a sentence: headers that hold several values are written so.
    """
    follows_colon = found[1].rstrip() != found[1] and found[1].rstrip().endswith(":") and "=" not in found[0]
    word = _WORD.match(found.string, found.end(1)) if follows_colon else None
    return found[0] if word is not None and word[0].lower() in _SENTENCE_BEGINS else f"{found[1]}{HIDDEN}"


def shown_input(text: str) -> str:
    """An input as it is shown: an address as `shown` does, a path as it is."""
    return shown(text, [text]) if "://" in text else text


def shown_addresses(text: str) -> str:
    """`text` of somebody's own, in which only addresses lose their secrets."""
    return _ADDRESSES.sub(lambda found: _bare(found[0]), text) if "://" in text else text


def shown_values(value: Any) -> Any:
    """JSON values, each text as `shown`."""
    match value:
        case str():
            return shown(value)
        case dict():
            return {key: shown_values(inner) for key, inner in value.items()}
        case list() | tuple():
            return [shown_values(inner) for inner in value]
        case _:
            return value


def hidden(text: str, known: Iterable[str]) -> str:
    """`text` without the secrets of the full addresses in `known`, wherever and however they are quoted; nothing else changes."""
    for address in known:
        bare = _bare(address)
        if bare != address:
            text = text.replace(address, bare)
            for secret in _secrets_of(address):
                text = text.replace(secret, HIDDEN)
    return text


def terminal_safe(text: str) -> str:
    """`text` with U+FFFD for every character that could move a cursor, colour, rename or reorder what a terminal or a page shows."""
    return _UNSAFE.sub("\N{REPLACEMENT CHARACTER}", text)


def guarded(text: str) -> str:
    """`text` with an apostrophe wherever a spreadsheet would take it for a formula. The inverse of `unguarded`."""
    return _CELL_STARTS.sub("'", text)


def unguarded(text: str) -> str:
    """`text` without the apostrophes that `guarded` set."""
    return _GUARDED_STARTS.sub("", text)


def one_line(text: str) -> str:
    r"""`text` with `\n` and the like for its line breaks: what stands in it begins no line of its own."""
    return "".join(repr(part)[1:-1] if part in _LINE_BREAKS else part for part in text)


def escaped(document: str) -> str:
    r"""A JSON document with `\uXXXX` for what `terminal_safe` replaces: the same document to a program, harmless on a terminal."""
    return _UNSAFE.sub(_as_escape, document)


def _as_escape(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def _bare(address: str) -> str:
    """An address without what is secret in it; anything else as it is."""
    scheme, separator, rest = address.partition("://")
    if not separator:
        return address
    cut = min((at for at in (rest.find("?"), rest.find("#")) if at >= 0), default=len(rest))
    place, query = rest[:cut], rest[cut:]
    authority, slash, path = place.partition("/")
    if "@" in authority:
        user, _, host = authority.rpartition("@")
        authority = authority if scheme.lower() in _STORE_USER and ":" not in user and "@" not in user else host
    elif ":" in _PORT.sub("", authority) and not authority.startswith("[") and "@" in rest:
        # A password with a slash or a question mark in it: what looks like the host is the user.
        after = rest.rpartition("@")[2]
        return _bare(f"{scheme}://{after}")
    path = _PATH_PARAMETER.sub(f";{HIDDEN}", _INNER_USER.sub(r"\1", path))
    return f"{scheme}://{authority}{slash}{path}{_shown_query(authority, query)}"


def _shown_query(authority: str, query: str) -> str:
    if not query:
        return ""
    kept = [pair for pair in query.partition("#")[0][1:].split("&") if _is_public(authority, pair)]
    whole = "?" + "&".join(kept) == query
    return "?" + "&".join(kept if whole else [*kept, HIDDEN])


def _is_public(authority: str, pair: str) -> bool:
    name, _, value = pair.partition("=")
    host = _PORT.sub("", authority).lower()
    named = next((names for site, names in _PUBLIC.items() if host == site or host.endswith(f".{site}")), ())
    return name in named and _PUBLIC_VALUE.fullmatch(value) is not None


def _secrets_of(address: str) -> Sequence[str]:
    """The parts of an address that its bare form has not, longest first, as they stand and decoded."""
    rest = address.partition("://")[2]
    found: list[str] = []
    try:
        parts = urlsplit(address)
        found += [parts.query, parts.fragment, parts.username or "", parts.password or ""]
    except ValueError:  # no valid address, which is said elsewhere: all that follows is cut by hand
        parts = None
    found.append(rest.partition("?")[2])
    before = rest.rpartition("@")[0]
    found += [before, before.partition(":")[2]]
    host = (parts.netloc.rpartition("@")[2] if parts is not None else "") or ""
    for query in {parts.query if parts is not None else "", rest.partition("?")[2]}:
        found += [value for name, value in parse_qsl(query, keep_blank_values=False) if not _is_public(host, f"{name}={value}")]
        found += [pair.partition("=")[2] or pair for pair in query.split("&") if not _is_public(host, pair)]
    found += [unquote(one) for one in found]
    bare = _bare(address)
    return sorted({one for one in found if len(one) >= _SHORTEST_SECRET and one not in bare}, key=len, reverse=True)


def counted(number: float, one: str, many: str = "") -> str:
    """A number with its noun.

    Args:
        number: how many.
        one: the noun for one.
        many: the noun for any other number; `one` with an s where it is empty.

    Example:
        >>> counted(1, "entry", "entries"), counted(2000, "entry", "entries"), counted(0.5, "CPU")
        ('1 entry', '2,000 entries', '0.5 CPUs')
    """
    written = f"{number:,}" if isinstance(number, int) else f"{number:g}"
    return f"{written} {one if number == 1 else many or f'{one}s'}"


def often(number: int) -> str:
    """How many times something happened: `once`, `2 times`."""
    return "once" if number == 1 else f"{number:,} times"
