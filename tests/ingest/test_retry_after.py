"""A server's Retry-After header, which may hold anything."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rumiai_ray.errors import TransientError
from rumiai_ray.ingest.outcomes import RateLimitedError
from rumiai_ray.ingest.web import status_error

YEAR_S = 366 * 86400.0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("9" * 400, YEAR_S),
        ("Fri, 31 Dec 9999 23:59:59 GMT", YEAR_S),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 -9999", None),
        ("Fri, 31 Dec 2026 23:59:59 +99999999999999999999", None),
        ("soon", None),
        ("-1", None),
        ("", None),
    ],
)
def test_an_absurd_retry_after_is_bounded_or_ignored(header: str, seconds: float | None) -> None:
    error = status_error(429, "https://h/a.mp4", header)
    assert isinstance(error, RateLimitedError)
    assert error.retry_after_s == seconds
    assert len(str(error)) < 200


@settings(deadline=None)
@given(st.one_of(st.text(max_size=60), st.from_regex(r"(Mon, )?[0-9]{1,3} Jan [0-9]{1,6} [0-9:]{0,9} [+-][0-9]{1,30}")))
def test_any_retry_after_gives_an_error_of_ours(header: str) -> None:
    error = status_error(503, "https://h/a.mp4", header)
    assert isinstance(error, TransientError)
    assert 0 <= (getattr(error, "retry_after_s", None) or 0.0) <= YEAR_S
