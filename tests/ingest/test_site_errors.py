from __future__ import annotations

import errno
import pickle
import sys
from email.message import Message
from types import SimpleNamespace

import pytest
from yt_dlp.networking.exceptions import CertificateVerifyError, HTTPError, TransportError
from yt_dlp.utils import DownloadError, ExtractorError, GeoRestrictedError, UnsupportedError

from rumiai_ray.errors import InputError, RumiaiError, StorageError, TransientError
from rumiai_ray.ingest.outcomes import (
    BlockedError,
    ExtractorBrokenError,
    LoginWallError,
    NoVideoError,
    PrivateError,
    RateLimitedError,
    RemovedError,
)
from rumiai_ray.ingest.sites.errors import outcome
from rumiai_ray.package_manager import HOW_TO_UPDATE_YTDLP

URL = "https://www.tiktok.com/@private.login/video/6748451240264420610"
LOGIN = " Use --cookies-from-browser or --cookies for the authentication. See https://github.com/login for how to manually pass cookies"


def as_downloader_raises(error: Exception) -> DownloadError:
    """`error` inside the exception that YoutubeDL makes of it."""
    try:
        try:
            raise error
        except type(error):
            raise DownloadError(f"ERROR: [TikTok] 6748451240264420610: {error}", sys.exc_info()) from None
    except DownloadError as raised:
        return raised


def answered(status: int, reason: str = "", **headers: str) -> HTTPError:
    fields = Message()
    for name, value in headers.items():
        fields[name.replace("_", "-")] = value
    return HTTPError(SimpleNamespace(status=status, reason=reason, headers=fields, close=lambda: None))


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("Your IP address is blocked from accessing this post", BlockedError),
        ("Sign in to confirm you\u2019re not a bot." + LOGIN, BlockedError),
        ("Video unavailable. The uploader has not made this video available in your country", RemovedError),
        ("The uploader has not made this video available in your country You might want to use a VPN or a proxy server", RemovedError),
        ("This video is not available from your location", BlockedError),
        ("You do not have permission to view this post. Log into an account that has access." + LOGIN, PrivateError),
        ("This post may not be comfortable for some audiences. Log in for access." + LOGIN, PrivateError),
        ("TikTok is requiring login for access to this content." + LOGIN, PrivateError),
        ("Private video. Sign in if you've been granted access to this video", PrivateError),
        ("Video unavailable. This video is private", PrivateError),
        ("Requested content is not available, rate-limit reached or login required." + LOGIN, LoginWallError),
        ("Instagram sent an empty media response. Check if this post is accessible in your browser", PrivateError),
        ("Sign in to confirm your age. This video may be inappropriate for some users", PrivateError),
        ("Video not available, status code 10204x", RemovedError),
        ("Video not available, status code 100004", RemovedError),
        ("Video not available, status code 0", ExtractorBrokenError),
        ("Video unavailable", RemovedError),
        ("This video has been removed by the uploader", RemovedError),
        ("The page does not exist", RemovedError),
        ("No video formats found!", NoVideoError),
        ("Requested format is not available. Use --list-formats for a list of available formats", NoVideoError),
        ("There is no video in this post", NoVideoError),
        ("No video could be found in this tweet", NoVideoError),
        ("This live event will begin in 3 hours.", NoVideoError),
        ("This video is DRM protected", NoVideoError),
        ("Unable to extract universal data for rehydration", ExtractorBrokenError),
        (
            "Unable to extract challenge data; please report this issue on https://x  , filling out the appropriate form.",
            ExtractorBrokenError,
        ),
        ("Unexpected response from webpage request", ExtractorBrokenError),
        ("Failed to parse JSON", ExtractorBrokenError),
        ("An extractor error has occurred.", ExtractorBrokenError),
        ("You have been rate-limited by the site", RateLimitedError),
        ("[download] Got error: 5 bytes read, 10 more expected", TransientError),
        ("unable to download video data: The read operation timed out", TransientError),
    ],
)
def test_a_known_message_means_one_outcome(message: str, kind: type[RumiaiError]) -> None:
    error = outcome(as_downloader_raises(ExtractorError(message, expected=True)), URL)
    assert type(error) is kind
    assert error.subject == URL
    assert error.hint
    assert message[:20] in str(error)
    assert "--cookies" not in str(error), "yt-dlp's own flags are no help here"


def test_an_unsupported_page_is_no_video() -> None:
    assert type(outcome(as_downloader_raises(UnsupportedError("https://www.tiktok.com/login")), URL)) is NoVideoError


def test_a_region_is_a_block() -> None:
    error = GeoRestrictedError("This video is not available in your country", countries=["DE"])
    assert type(outcome(as_downloader_raises(error), URL)) is BlockedError


@pytest.mark.parametrize(
    ("status", "kind"),
    [(403, BlockedError), (401, PrivateError), (404, RemovedError), (410, RemovedError), (429, RateLimitedError), (500, TransientError)],
)
def test_an_http_status_behind_the_message_counts(status: int, kind: type[RumiaiError]) -> None:
    http = answered(status, "as it says", Retry_After="7")
    error = outcome(as_downloader_raises(ExtractorError("Unable to download webpage", cause=http, expected=True)), URL)
    assert type(error) is kind
    if isinstance(error, RateLimitedError):
        assert error.retry_after_s == 7


def test_a_page_that_says_more_than_its_status_is_believed() -> None:
    error = ExtractorError("This video is private", cause=answered(404), expected=True)
    assert type(outcome(as_downloader_raises(error), URL)) is PrivateError


def test_a_lost_connection_is_transient() -> None:
    cause = TransportError(cause=ConnectionResetError("reset"))
    assert type(outcome(as_downloader_raises(ExtractorError("Unable to download webpage", cause=cause)), URL)) is TransientError


def test_a_bad_certificate_is_not() -> None:
    error = ExtractorError("Unable to download webpage", cause=CertificateVerifyError(cause="self-signed"))
    assert type(outcome(as_downloader_raises(error), URL)) is InputError


def test_a_full_disk_is_a_storage_error() -> None:
    assert type(outcome(as_downloader_raises(OSError(errno.ENOSPC, "No space left on device")), URL)) is StorageError


@pytest.mark.parametrize("error", [KeyError("itemStruct"), AttributeError("'NoneType' has no attribute 'get'"), ExtractorError("odd")])
def test_what_yt_dlp_did_not_expect_means_that_it_is_broken(error: Exception) -> None:
    found = outcome(error, URL)
    assert type(found) is ExtractorBrokenError
    assert HOW_TO_UPDATE_YTDLP in found.hint


def test_what_yt_dlp_expected_but_we_do_not_know_is_the_inputs_fault() -> None:
    assert type(outcome(as_downloader_raises(ExtractorError("Something new", expected=True)), URL)) is InputError


def test_outcomes_cross_process_borders() -> None:
    error = pickle.loads(pickle.dumps(RateLimitedError("slow down", URL, "wait", 3.0)))  # noqa: S301 -- what Ray does
    assert (str(error), error.retry_after_s) == (f"{URL}: slow down (wait)", 3.0)
