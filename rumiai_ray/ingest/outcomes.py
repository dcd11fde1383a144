"""How getting a video from the web can end, beyond the plain `InputError` and `TransientError`."""

from __future__ import annotations

from rumiai_ray.errors import InputError, TransientError


class BlockedError(InputError):
    """The site answers, but not us: address blocked, region, bot check."""

    answered_by = ""
    """The host that said so, where it may be another one than that of the input's address; empty otherwise."""


class PrivateError(InputError):
    """The post or the object is there for people with an account or a permission only."""


class LoginWallError(PrivateError):
    """The site shows nothing without a login at the moment, or to this address: that says nothing of the post."""


class RemovedError(InputError):
    """It is not there any more, or never was."""


class NoVideoError(InputError):
    """What is there is no single video: images of a site whose images are not fetched, a web page, an error page, a list of videos."""


class NoListError(InputError):
    """What is there is no list of posts that yt-dlp can walk: a hashtag's or a sound's page of most sites, a search, a single post."""


class ExtractorBrokenError(InputError):
    """The site has changed and the installed yt-dlp no longer understands it."""


class ManifestRowError(InputError):
    """A row of the manifest names no input that can be used. The other rows of the manifest are not affected."""


class RateLimitedError(TransientError):
    """The server asks for patience (HTTP 429 or 503).

    Args:
        retry_after_s: how long the server asks to be left alone; None where it does not say.
    """

    answered_by = ""
    """As `BlockedError.answered_by`."""

    def __init__(self, what: str, subject: str = "", hint: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(what, subject, hint)
        self.retry_after_s = retry_after_s


class HostPausedError(TransientError):
    """The host has refused so often, or for so long, that it is left alone for the rest of the run."""
