"""Many downloads at once do not fill a disk."""

from __future__ import annotations

import threading
from collections import namedtuple
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from rumiai_ray.errors import RumiaiError, StorageError, TransientError
from rumiai_ray.ingest.entries import Entry
from rumiai_ray.ingest.fetch import fetch
from rumiai_ray.ingest.limits import FetchLimits
from rumiai_ray.ingest.room import Room
from rumiai_ray.ingest.sites import process as site_process

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.ingest.conftest import Site


MB = 2**20
BODY = b"\0\0\0\x18ftypmp42" + bytes(20 * MB)
Usage = namedtuple("Usage", "total used free")  # noqa: PYI024 -- as shutil's


def with_free(monkeypatch: pytest.MonkeyPatch, free_bytes: int) -> None:
    monkeypatch.setattr("rumiai_ray.ingest.room.shutil.disk_usage", lambda _: Usage(10 * free_bytes, 0, free_bytes))


def test_a_nearly_full_disk_is_not_filled_and_the_run_is_told(
    site: Site, limits: FetchLimits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = site.serve("/a.mp4", 200, BODY)
    with_free(monkeypatch, 500 * MB)
    with pytest.raises(StorageError, match="500 MB are free, 1,024 MB must stay free"), fetch(Entry("a", url), limits, tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []
    with fetch(Entry("a", url), replace(limits, reserve_bytes=400 * MB), tmp_path) as video:
        assert video.size_bytes == len(BODY)


def test_a_disk_that_other_downloads_fill_is_worth_another_attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fetch-other").mkdir()
    (tmp_path / "fetch-other/video.part").write_bytes(b"x")
    with_free(monkeypatch, MB)
    with pytest.raises(TransientError, match="must stay free"):
        Room(tmp_path, FetchLimits()).take(1, "a")


def outcomes_at_once(url: str, limits: FetchLimits, workdir: Path, count: int = 6) -> list[Any]:
    """Sizes or errors of downloads at once, each of which stays on the disk until every one has ended."""
    open_now = threading.Barrier(count, timeout=120)
    outcomes: list[Any] = []

    def download(number: int) -> None:
        with ExitStack() as held:
            try:
                outcomes.append(held.enter_context(fetch(Entry(str(number), url), limits, workdir)).size_bytes)
            except RumiaiError as error:
                outcomes.append(error)
            open_now.wait()

    threads = [threading.Thread(target=download, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == count
    assert list(workdir.iterdir()) == []
    return outcomes


def test_downloads_at_once_stay_below_their_bound_together(site: Site, limits: FetchLimits, tmp_path: Path) -> None:
    url = site.serve("/a.mp4", 200, BODY)
    outcomes = outcomes_at_once(url, replace(limits, scratch_bytes=50 * MB, attempts=1), tmp_path)
    refused = [outcome for outcome in outcomes if isinstance(outcome, TransientError)]
    assert outcomes.count(len(BODY)) + len(refused) == 6
    assert 1 <= outcomes.count(len(BODY)) < 6
    assert all("scratch-max-mb" in str(error) for error in refused)


def test_posts_fetched_at_once_stay_below_their_bound_together(
    site: Site, limits: FetchLimits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site_process, "WORKER", "fake_site")
    largest: list[int] = []
    monkeypatch.setattr(Room, "take", watched(largest))
    site.serve("/media/film.mp4", 200, BODY)
    outcomes = outcomes_at_once(site.url("/post/film"), replace(limits, scratch_bytes=50 * MB, attempts=1), tmp_path)
    refused = [outcome for outcome in outcomes if isinstance(outcome, TransientError)]
    assert outcomes.count(len(BODY)) + len(refused) == 6
    assert 1 <= outcomes.count(len(BODY)) < 6
    assert all("scratch-max-mb" in str(error) for error in refused)
    assert max(largest) <= 50 * MB + 6 * 16 * MB + len(BODY), "the overshoot that `Room` allows, and no more"


def watched(largest: list[int]) -> Callable[[Room, int, str], None]:
    """`Room.take` that also notes how much all downloads hold."""
    take = Room.take

    def noted(room: Room, count: int, subject: str) -> None:
        largest.append(room.used_bytes())
        take(room, count, subject)

    return noted


def test_a_post_does_not_fill_a_nearly_full_disk(site: Site, limits: FetchLimits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site_process, "WORKER", "fake_site")
    site.serve("/media/film.mp4", 200, BODY)
    with_free(monkeypatch, 500 * MB)
    (outcome,) = outcomes_at_once(site.url("/post/film"), replace(limits, attempts=1), tmp_path, 1)
    assert isinstance(outcome, StorageError | TransientError)
    assert "500 MB are free, 1,024 MB must stay free" in str(outcome)


def test_what_a_killed_process_left_counts_too(tmp_path: Path) -> None:
    (tmp_path / "fetch-dead/inner").mkdir(parents=True)
    (tmp_path / "fetch-dead/inner/video").write_bytes(bytes(3 * MB))
    (tmp_path / "something-else").write_bytes(bytes(MB))
    room = Room(tmp_path, replace(FetchLimits(), reserve_bytes=0, scratch_bytes=2 * MB))
    assert room.used_bytes() == 3 * MB
    with pytest.raises(TransientError, match="3 MB"):
        room.take(1, "a")
