from __future__ import annotations

import dataclasses
import hashlib
from typing import TYPE_CHECKING

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from rumiai_ray.errors import InputError, MediaError, RumiaiError, TransientError
from rumiai_ray.ingest.outcomes import PrivateError, RemovedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from rumiai_ray.ingest.fetch import FetchedVideo, FetchLimits

    Got = Callable[..., AbstractContextManager[FetchedVideo]]

URI = "memory://clips/a b.mp4"
FILM = b"film" * 1000


@pytest.fixture(autouse=True)
def stored() -> None:
    with fsspec.open(URI, "wb") as stream:
        stream.write(FILM)


def test_an_object_is_downloaded_and_deleted(got: Got) -> None:
    with got(URI) as video:
        assert video.video_key == hashlib.sha256(FILM).hexdigest()
        assert video.source_url is None
        path = video.path
    assert not path.exists()


def test_a_missing_object_is_removed_and_a_large_one_too_large(got: Got, limits: FetchLimits) -> None:
    with pytest.raises(RemovedError, match="no such object"), got("memory://clips/none.mp4"):
        pass
    with pytest.raises(MediaError, match="larger than"), got(URI, dataclasses.replace(limits, max_bytes=100)):
        pass


def test_a_protocol_without_a_driver_says_what_to_install(got: Got) -> None:
    with pytest.raises(InputError, match="adlfs") as caught, got("abfs://container/a.mp4"):
        pass
    assert "install that package" in caught.value.hint


class VendorError(Exception):
    """Drivers raise what their vendor's library raises."""


@pytest.mark.parametrize(
    ("raised", "kind", "attempts"),
    [
        (PermissionError("403"), PrivateError, 1),
        (OSError("endpoint"), TransientError, 3),
        (VendorError("no credentials"), InputError, 1),
        (IsADirectoryError("dir"), InputError, 1),
    ],
)
def test_a_drivers_error_becomes_one_of_ours(
    got: Got, monkeypatch: pytest.MonkeyPatch, raised: Exception, kind: type[RumiaiError], attempts: int
) -> None:
    asked = []

    def info(*_: object, **__: object) -> None:
        asked.append(1)
        raise raised

    monkeypatch.setattr(MemoryFileSystem, "info", info)
    with pytest.raises(kind) as caught, got(URI):
        pass
    assert URI in str(caught.value)
    assert len(asked) == attempts


def test_an_object_that_ends_early_is_no_video(got: Got, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MemoryFileSystem, "info", lambda *_, **__: {"size": len(FILM) + 1})
    with pytest.raises(TransientError, match="ended after 4000 of 4001 bytes"), got(URI):
        pass
