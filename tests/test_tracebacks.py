"""Tracebacks as text: what of them travels, and which secrets do not."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray.exceptions import RayTaskError

from rumiai_ray.errors import ModelError
from rumiai_ray.tracebacks import LONGEST_CHARACTERS, bounded, keep_traceback, traceback_of, without_secrets

SECRETS = {
    "https://user:hunter2@host.example/a.mp4": "https://host.example/a.mp4",
    "https://host.example/a.mp4?X-Amz-Signature=hunter2&X-Amz-Date=1": "https://host.example/a.mp4?…",
    "https://host.example/a.mp4#hunter2": "https://host.example/a.mp4?…",
    "s3://key:hunter2@bucket/a": "s3://bucket/a",
    "https://user:hun/ter2@host.example/a": "https://host.example/a",
    "https://user:hun?ter2@host.example/a": "https://host.example/a",
    "redis://:hunter2@[::1]:6379/0": "redis://[::1]:6379/0",
    "https://www.tiktok.com/@somebody/video/1": "https://www.tiktok.com/@somebody/video/1",
    "http://host.example:8080/@somebody": "http://host.example:8080/@somebody",
}


def raised(error: Exception) -> Exception:
    def throw() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        throw()
    return caught.value


@pytest.mark.parametrize(("address", "bare"), SECRETS.items())
def test_an_address_in_a_text_loses_its_secrets_and_nothing_else(address: str, bare: str) -> None:
    assert without_secrets(f"ValueError: cannot open '{address}', twice") == f"ValueError: cannot open '{bare}', twice"


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer hunter2 and more",
        "{'Authorization': 'AWS4-HMAC-SHA256 Credential=hunter2'}",
        "AWS_SECRET_ACCESS_KEY=hunter2",
        "{'aws_secret_access_key': 'hunter2', 'x': 1}",
        "params: sig=hunter2&se=1",
        "password: hunter2",
        'api_key="hunter2"',
    ],
)
def test_a_signature_or_key_outside_of_an_address_is_hidden_too(text: str) -> None:
    assert "hunter2" not in without_secrets(text)


def test_a_known_address_is_stripped_whatever_characters_it_holds() -> None:
    address = "https://host.example/a.mp4?note=two words&sig=hun 'ter2"
    assert without_secrets(f"cannot open {address}!", [address]) == "cannot open https://host.example/a.mp4?…"


@given(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=8), st.text())
def test_no_query_or_password_survives(secret: str, around: str) -> None:
    secret = f"zz{secret}zz"
    for address in (f"https://u:{secret}@h.example/p", f"https://h.example/p?x={secret}", f"s3://b/k?versionId={secret}&y=1#{secret}"):
        assert secret not in without_secrets(f"{around} {address} {around}".replace(secret, "", around.count(secret)), [address])


def test_text_that_is_too_long_keeps_its_start_and_its_end() -> None:
    text = bounded("start" + "x" * 100_000 + "\x1b[36mend\x1b[39m")
    assert text.startswith("start")
    assert text.endswith("end")
    assert "characters left out" in text
    assert len(text) < LONGEST_CHARACTERS + 100
    assert bounded(text.replace("x", "y")) is not None
    assert bounded("short") == "short"


def test_the_text_of_the_process_that_raised_travels_with_the_exception() -> None:
    error = raised(ModelError("it broke", "yolo"))
    keep_traceback(error, traceback_of(error))
    arrived = pickle.loads(pickle.dumps(error))  # noqa: S301 -- dumped on the same line
    assert arrived.__traceback__ is None
    assert "in throw\n    raise error" in traceback_of(arrived)


def test_of_a_task_that_raised_its_own_traceback_is_taken_and_not_the_drivers() -> None:
    error = RayTaskError("predict", "Traceback (most recent call last):\n  File 'a.py'\nValueError: no", ValueError("no"))  # type: ignore[no-untyped-call]
    for seen in (error, error.as_instanceof_cause()):  # type: ignore[no-untyped-call]
        text = traceback_of(raised(seen))
        assert "File 'a.py'" in text
        assert "\x1b" not in text
        assert "in throw" not in text


def test_what_was_never_raised_has_no_traceback_and_what_takes_no_attributes_keeps_its_own() -> None:
    assert traceback_of(ValueError("no")) == ""

    class Strange(Exception):  # noqa: N818 -- a test's
        __slots__ = ()

        def __str__(self) -> str:
            raise RuntimeError("not even this")

    strange = raised(Strange())
    assert "in throw" in traceback_of(strange)
