"""Which of yt-dlp's extractors a URL can belong to, told by literals of its host and without running one regular expression.

Some of the 1,800 patterns backtrack for hours on a short URL that was made for it. The literals are read off the parsed patterns, so
a table follows from the installed yt-dlp; a pattern is then matched only where its literal is in the URL's host.
"""

from __future__ import annotations

import re._constants as sre  # type: ignore[import-not-found]  # the parse tree of `re`: nothing public gives it
import re._parser as parser  # type: ignore[import-not-found]
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_MAX_STATES = 5000
"""Ways to begin one pattern; where there are more, the pattern is matched against every URL."""
_ENOUGH = 8
"""Letters and digits of a literal after which no longer one is looked for outside the host."""
_SHORTEST = 3
"""Letters and digits of a literal that tells anything: the `t.me` of Telegram has three. One fewer at the beginning of the host."""
_COMMONPLACE = ("", "www.", "www", "http", "https", ".com", ".com/", ".html", ".org", ".net", "com/", "video", "/video/", "video.", "cdn.")
"""Literals that tell nothing, because very many addresses have them."""
_SMALL_CLASS = 8
_END_OF_HOST = frozenset("/?#:")
_SCHEMES = ("http://", "https://")
_START = "://"
"""Begins a literal that stands at the beginning of the host."""
_ANYTHING = "*"
"""Stands for a part of the scheme that something other than a literal has matched."""


@dataclass(frozen=True)
class _State:
    """What is known of a URL after the beginning of a pattern has been walked."""

    phase: str = "scheme"
    """"scheme" until `://`; then "host"; "done" after the host; "url" where the host's end may lie in something that is no literal."""
    best: str = ""
    """Longest literal so far, in lower case."""
    run: str = ""
    """Literal that goes on; in the scheme all that was matched."""

    def literal(self, character: str) -> _State | None:
        """After one more character; None where no URL on http or https goes on so."""
        if self.phase == "done":
            return self
        if self.phase == "scheme":
            return self._in_scheme(character)
        if self.phase == "host" and character in _END_OF_HOST:
            return self._settled("done") or _State("url")
        return _State(self.phase, self.best, self.run + character.lower())

    def wild(self, *, may_end: bool) -> _State:
        """After something that is no literal; `may_end`: it can match the end of the host, too."""
        if self.phase == "done":
            return self
        if self.phase == "scheme":
            return _State("url") if may_end else _State("scheme", "", _ANYTHING)
        if self.phase == "host" and may_end:
            return self._settled("done") or _State("url")
        if self.phase == "url" and sum(map(str.isalnum, self.key)) >= _ENOUGH:
            return _State("url-done", self.key)
        return _State(self.phase, self.key)

    @property
    def key(self) -> str:
        return max(self.best, "" if self.run.removeprefix(_START) in _COMMONPLACE else self.run, key=len)

    @property
    def tells(self) -> bool:
        return sum(map(str.isalnum, self.key)) >= _SHORTEST - self.key.startswith(_START)

    def _settled(self, phase: str) -> _State | None:
        return _State(phase, self.key) if self.tells else None

    def _in_scheme(self, character: str) -> _State | None:
        run = self.run + character
        if run.startswith(_ANYTHING):
            if character in "htps:":
                return _State("scheme", "", _ANYTHING)
            return {"*/": _State("scheme", "", "*/"), "*//": _State("host", "", _START)}.get(run)
        if run in _SCHEMES:
            return _State("host", "", _START)
        return _State("scheme", "", run) if any(scheme.startswith(run) for scheme in _SCHEMES) else None


@dataclass(frozen=True)
class Literals:
    """What every web address that one pattern matches has one of."""

    host: tuple[str, ...] = ()
    """In `://` and its host (or the user information before that), in lower case."""
    url: tuple[str, ...] = ()
    """Anywhere in it, in lower case."""
    always: bool = False
    """Nothing is known: the pattern may match any URL."""

    def fit(self, url: str, host: str) -> bool:
        """Whether the pattern can match; both arguments in lower case."""
        return self.always or any(literal in host for literal in self.host) or any(literal in url for literal in self.url)


def literals_of(patterns: Iterable[str]) -> Literals:
    """Literals one of which every http(s) URL has that one of `patterns` matches from its beginning."""
    host: set[str] = set()
    url: set[str] = set()
    for pattern in patterns:
        states = _walk({_State()}, parser.parse(pattern))
        if states is None:
            return Literals(always=True)
        for state in states:
            if state.phase == "scheme" and state.run in ("", _ANYTHING):
                return Literals(always=True)
            if state.phase == "scheme":
                continue
            if not state.tells:
                return Literals(always=True)
            (url if state.phase.startswith("url") else host).add(state.key)
    return Literals(tuple(sorted(host)), tuple(sorted(url)))


def _walk(states: set[_State], nodes: Iterable[tuple[Any, Any]]) -> set[_State] | None:
    """The states after `nodes`, in the parse tree of the standard library; None where there are too many."""
    for code, argument in nodes:
        if all(state.phase in ("done", "url-done") for state in states):
            return states
        after = _step(states, code, argument)
        if after is None or len(after) > _MAX_STATES:
            return None
        states = after
    return states


def _step(states: set[_State], code: Any, argument: Any) -> set[_State] | None:  # noqa: PLR0911 -- one for each kind of node
    if code is sre.LITERAL:
        return {after for state in states if (after := state.literal(chr(argument))) is not None}
    if code is sre.SUBPATTERN:
        return _walk(states, argument[3])
    if code is sre.BRANCH:
        branches = [_walk(states, branch) for branch in argument[1]]
        return None if None in branches else {state for branch in branches if branch is not None for state in branch}
    if code in (sre.MAX_REPEAT, sre.MIN_REPEAT) and argument[1] == 1:
        once = _walk(states, argument[2])
        return once if once is None or argument[0] else states | once
    if code is sre.IN and (members := _members(argument)) is not None:
        return {after for state in states for member in members if (after := state.literal(member)) is not None}
    if code in (sre.AT, sre.ASSERT, sre.ASSERT_NOT):
        return states
    may_end = _node_may_end(code, argument)
    if code in (sre.MAX_REPEAT, sre.MIN_REPEAT) and argument[0] > len("https") and not may_end:
        states = {state for state in states if state.phase != "scheme"}  # more letters than a scheme has: YouTube's bare video IDs
    return {state.wild(may_end=may_end) for state in states}


def _members(items: list[tuple[Any, Any]]) -> str | None:
    """The characters of a small class."""
    if len(items) <= _SMALL_CLASS and all(code is sre.LITERAL for code, _ in items):
        return "".join(chr(value) for _, value in items)
    return None


def _node_may_end(code: Any, argument: Any) -> bool:
    """Whether this node can match a character that ends a host."""
    if code is sre.LITERAL:
        return chr(argument) in _END_OF_HOST
    if code is sre.IN:
        return any(_in_class(ord(character), argument) for character in _END_OF_HOST)
    if code is sre.SUBPATTERN:
        return any(_node_may_end(*node) for node in argument[3])
    if code is sre.BRANCH:
        return any(_node_may_end(*node) for branch in argument[1] for node in branch)
    if code in (sre.MAX_REPEAT, sre.MIN_REPEAT):
        return any(_node_may_end(*node) for node in argument[2])
    return code not in (sre.AT, sre.ASSERT, sre.ASSERT_NOT)


def _in_class(character: int, items: list[tuple[Any, Any]]) -> bool:
    negated = items[0][0] is sre.NEGATE
    found = False
    for code, value in items[1:] if negated else items:
        if code is sre.LITERAL:
            found |= value == character
        elif code is sre.RANGE:
            found |= value[0] <= character <= value[1]
        elif code is sre.CATEGORY:
            # the ends of a host are neither word characters, digits nor blanks
            found |= value in (sre.CATEGORY_NOT_WORD, sre.CATEGORY_NOT_DIGIT, sre.CATEGORY_NOT_SPACE)
        else:
            return True
    return found is not negated


@dataclass(frozen=True)
class SiteHosts:
    """The table of one installed yt-dlp."""

    literals: Mapping[str, Literals]
    """By the extractors' names, in yt-dlp's order, in which the first one that matches takes a URL."""

    def candidates(self, url: str) -> list[str]:
        """Names of the extractors whose patterns `url` can match, in yt-dlp's order; [] where no literal of any is in it.

        The time taken is linear in the URL's length.
        """
        lowered = url.lower()
        host = lowered.partition(_START)[2]
        for end in "/?#":
            host = host.partition(end)[0]
        fitting = {name: known for name, known in self.literals.items() if known.fit(lowered, _START + host)}
        if all(known.always for known in fitting.values()):  # YouTube's playlist IDs without a host: `https://PL…` is no address
            return []
        return list(fitting)
