"""Who may read what a run leaves: its owner alone, unless the run was made to be shared."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from rumiai_ray.ingest.entries import Entry
from rumiai_ray.ingest.table import EntryFile
from rumiai_ray.runs.writer import RunWriter
from synthetic_run import manifest, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SIGNED = "https://h.example/a.mp4?sig=hunter2"


@pytest.fixture(params=[0, 0o022])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def made(out: Path, *, shared: bool) -> dict[str, int]:
    """The mode of everything that a run leaves, by path."""
    file = EntryFile.of([Entry("one", SIGNED), Entry("two", "clip.mp4")])
    named = manifest().model_copy(update={"locations": "a" * 32, "entries_sha256": file.sha256})
    writer = RunWriter.create(out, named, entries=file.data, locations=file.secret, shared=shared)
    writer.add(rows_of("one"))
    writer.commit(["one"])
    writer.logs.failures.add("run", "ModelError: no", "")
    writer.finish("complete", {})
    return {str(path.relative_to(out)): stat.S_IMODE(path.lstat().st_mode) for path in out.rglob("*")}


@pytest.mark.usefixtures("umask")
def test_a_run_is_its_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    found = made(tmp_path / "runs", shared=False)
    assert any("commits/" in name for name in found)
    assert {name: mode for name, mode in found.items() if mode & 0o077} == {}


def test_a_shared_run_is_as_the_umask_says_and_its_private_file_is_not(tmp_path: Path, umask: int) -> None:
    found = made(tmp_path / "runs", shared=True)
    for name, mode in found.items():
        if "/private" in name or "/logs" in name:
            assert not mode & 0o077
        elif name.endswith((".json", ".parquet")):
            assert mode == 0o666 & ~umask


def test_entries_travel_in_two_files_and_come_back_as_they_were() -> None:
    entries = [Entry(f"e{number}", SIGNED + str(number) if number % 3 else f"clip{number}.mp4") for number in range(2500)]
    file = EntryFile.of(entries)
    assert list(EntryFile(file.data, file.secret)) == entries
    assert sum(one.location.startswith(SIGNED) for one in file) == sum(number % 3 > 0 for number in range(2500))
    assert EntryFile.of([Entry("e", "clip.mp4")]).secret == b""


def test_without_the_private_file_only_entries_that_need_it_have_a_problem() -> None:
    file = EntryFile.of([Entry("one", SIGNED), Entry("two", "clip.mp4")])
    other = EntryFile.of([Entry("one", "https://evil.example/a.mp4?sig=x"), Entry("two", "clip.mp4")])
    for secret in (b"", other.secret):
        one, two = EntryFile(file.data, secret)
        assert one.problem is not None
        assert not one.location
        assert two.problem is None
