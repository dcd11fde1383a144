"""Tracebacks as text: what of them travels."""

from __future__ import annotations

import pickle

import pytest
from ray.exceptions import RayTaskError

from rumiai_ray.errors import ModelError
from rumiai_ray.tracebacks import LONGEST_CHARACTERS, bounded, keep_traceback, traceback_of


def raised(error: Exception) -> Exception:
    def throw() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        throw()
    return caught.value


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
