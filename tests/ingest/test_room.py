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

if TYPE_CHECKING:
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


def test_downloads_at_once_stay_below_their_bound_together(site: Site, limits: FetchLimits, tmp_path: Path) -> None:
    url = site.serve("/a.mp4", 200, BODY)
    bound = replace(limits, scratch_bytes=50 * MB, attempts=1)
    open_now = threading.Barrier(6, timeout=60)
    outcomes: list[Any] = []

    def download(number: int) -> None:
        with ExitStack() as held:
            try:
                outcomes.append(held.enter_context(fetch(Entry(str(number), url), bound, tmp_path)).size_bytes)
            except RumiaiError as error:
                outcomes.append(error)
            open_now.wait()  # downloads stay on the disk until every one has ended

    threads = [threading.Thread(target=download, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done = [outcome for outcome in outcomes if outcome == len(BODY)]
    refused = [outcome for outcome in outcomes if isinstance(outcome, TransientError)]
    assert len(done) + len(refused) == 6
    assert 1 <= len(done) < 6
    assert all("scratch-max-mb" in str(error) for error in refused)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_counts_too(tmp_path: Path) -> None:
    (tmp_path / "fetch-dead/inner").mkdir(parents=True)
    (tmp_path / "fetch-dead/inner/video").write_bytes(bytes(3 * MB))
    (tmp_path / "something-else").write_bytes(bytes(MB))
    room = Room(tmp_path, replace(FetchLimits(), reserve_bytes=0, scratch_bytes=2 * MB))
    assert room.used_bytes() == 3 * MB
    with pytest.raises(TransientError, match="3 MB"):
        room.take(1, "a")
