"""What yt-dlp's errors mean. yt-dlp has few exception types; the message is what tells a private post from a removed one."""

from __future__ import annotations

import errno
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rumiai_ray.errors import InputError, MediaError, RumiaiError, TransientError
from rumiai_ray.ingest.outcomes import (
    BlockedError,
    ExtractorBrokenError,
    LoginWallError,
    NoVideoError,
    PrivateError,
    RateLimitedError,
    RemovedError,
)
from rumiai_ray.ingest.saving import storage_error
from rumiai_ray.ingest.web import status_error
from rumiai_ray.package_manager import HOW_TO_UPDATE_YTDLP

if TYPE_CHECKING:
    from collections.abc import Iterator

_UPDATE = f"{HOW_TO_UPDATE_YTDLP}; if that does not help, the site has changed again"
_COOKIES = "give a cookies file of an account that can see it"


@dataclass(frozen=True)
class ErrorRule:
    """Messages and what they mean."""

    pattern: str
    """Searched in the message without case, after URLs and yt-dlp's advice were cut out of it."""
    error: type[RumiaiError]
    hint: str


RULES = (
    ErrorRule(
        r"unsupported url|no suitable extractor",
        NoVideoError,
        "yt-dlp finds no video at this address; an expired short link leads to the home page",
    ),
    ErrorRule(r"rate-limit reached or login required|redirected to the login page", LoginWallError, _COOKIES),
    ErrorRule(r"empty media response", PrivateError, _COOKIES),
    ErrorRule(
        r"rate.?limit|too many requests|try again later",
        RateLimitedError,
        "try again later, or ask less often: --limits-host-interval-s, --limits-host-downloads",
    ),
    ErrorRule(
        r"ip address is blocked|not a bot|captcha|not available (in|from) your|geo.?restrict|access denied|unable to solve js challenge",
        BlockedError,
        "the site refuses this address; try from another network, or give a cookies file",
    ),
    ErrorRule(
        r"\bprivate\b|\blog.?in|sign in|logged.in|do not have permission|not be comfortable|members.only|subscribers? only|age.?restricted"
        r"|inappropriate",
        PrivateError,
        _COOKIES,
    ),
    # TikTok's status 0 with nothing behind it: the page was not understood, nothing is said about the post.
    ErrorRule(r"video not available, status code (0|-1)\b", ExtractorBrokenError, _UPDATE),
    # Says something of one post, and nothing of the host, whose other posts a batch goes on with.
    ErrorRule(
        r"uploader has not made this video available in your country",
        RemovedError,
        "the uploader keeps it from this country; try from a network in another one",
    ),
    ErrorRule(
        r"video (is )?(not |un)available|no longer available|(has been|was) (removed|deleted|terminated)|does(n't| not) exist|not found"
        r"|post (is )?unavailable|has expired",
        RemovedError,
        "open it in a browser; it may have been taken down",
    ),
    ErrorRule(
        r"no video formats found|requested format is not available|no (video|media)\b.*(found|in this)|there('s| is) no video|not a video"
        r"|(photo|image|slideshow)\b.*(post|only)",
        NoVideoError,
        "there is no video in it to analyse; images are fetched only from posts on TikTok and Instagram",
    ),
    ErrorRule(r"not currently live|is live|live event|will begin in|premieres in", NoVideoError, "wait until there is a recording"),
    ErrorRule(r"\bdrm\b", NoVideoError, "protected videos cannot be analysed"),
    ErrorRule(
        r"unable to extract|failed to (parse|extract)|an extractor error|unexpected response|no working app info"
        r"|unable to (parse|find)\b|(keyerror|typeerror|attributeerror|jsondecodeerror)\b",
        ExtractorBrokenError,
        _UPDATE,
    ),
    ErrorRule(
        r"timed out|timeout|connection (reset|refused|aborted|broken)|incompleteread|bytes read, \d+ more|got error|content too short"
        r"|did not get any data blocks|network error|remote end closed",
        TransientError,
        "try again; check this machine's network",
    ),
)
"""First match wins; an HTTP status in the chain of causes comes after them, for pages that say more than their status."""

_NOISE = re.compile(r"https?://\S+|\(caused by .*")
_ADVICE = re.compile(
    r"[;.,]?\s*(please report this issue on|use --cookies|use --list-formats|confirm you are on the latest).*", re.DOTALL | re.IGNORECASE
)
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def outcome(error: BaseException, url: str) -> RumiaiError:
    """The error of this package that says what `error`, raised by yt-dlp on `url`, means."""
    chain = list(causes(error))
    return _by_cause(chain, url) or _by_message(error, url) or _by_answer(chain, error, url) or _by_expectation(chain, error, url)


def _by_cause(chain: list[BaseException], url: str) -> RumiaiError | None:
    """Causes that say it all, whatever the message."""
    from yt_dlp.networking.exceptions import CertificateVerifyError  # noqa: PLC0415 -- yt-dlp is slow to import

    for link in chain:
        if isinstance(link, RumiaiError):
            return link
        if isinstance(link, MemoryError):
            what = "the site sends so much that yt-dlp reached its limit of memory"
            return MediaError(what, url, "raise --limits-download-memory-mb if you trust the site")
        if isinstance(link, OSError) and link.errno == errno.EFBIG:
            return MediaError("larger than the largest input allowed", url, "raise --limits-max-input-mb, or cut the video")
        if isinstance(link, OSError) and link.errno in _DISK:
            return storage_error(link, str(link.filename or "the work directory"))
        if isinstance(link, CertificateVerifyError):
            return InputError("the site's certificate is not valid", url, "check this machine's clock and certificates")
    return None


def _by_message(error: BaseException, url: str) -> RumiaiError | None:
    text = _NOISE.sub("", _message(error))
    return next((rule.error(_what(error), url, rule.hint) for rule in RULES if re.search(rule.pattern, text, re.IGNORECASE)), None)


def _by_answer(chain: list[BaseException], error: BaseException, url: str) -> RumiaiError | None:
    """HTTP statuses and broken connections."""
    from yt_dlp.networking.exceptions import HTTPError, TransportError  # noqa: PLC0415 -- yt-dlp is slow to import

    for link in chain:
        if isinstance(link, HTTPError) and (known := status_error(link.status, url, link.response.headers.get("Retry-After"))):
            return known
        if isinstance(link, TransportError | OSError):
            return TransientError(_what(error), url, "try again; check this machine's network")
    return None


def _by_expectation(chain: list[BaseException], error: BaseException, url: str) -> RumiaiError:
    """yt-dlp marks what it foresaw as expected; everything else is an extractor that no longer fits its site."""
    if any(getattr(link, "expected", False) for link in chain):
        return InputError(_what(error), url, "open it in a browser to see what it is")
    return ExtractorBrokenError(_what(error), url, _UPDATE)


def _what(error: BaseException) -> str:
    return f"yt-dlp says: {_message(error)}"


def _message(error: BaseException) -> str:
    """The message in one line, without yt-dlp's prefix and its advice to its own users."""
    text = " ".join(str(error).removeprefix("ERROR:").split())
    short = _ADVICE.sub("", text) or type(error).__name__
    return short if type(error).__module__.startswith("yt_dlp") else f"{type(error).__name__}: {short}"


def causes(error: BaseException) -> Iterator[BaseException]:
    """`error` and what it came from. yt-dlp keeps that in `exc_info` and `cause` beside Python's own links."""
    waiting, seen = [error], set()
    while waiting:
        link = waiting.pop(0)
        if id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        info = getattr(link, "exc_info", None) or (None, None)
        nexts = (info[1], getattr(link, "cause", None), link.__cause__, link.__context__, *getattr(link, "unexpected_errors", ()))
        waiting += [step for step in nexts if isinstance(step, BaseException)]
