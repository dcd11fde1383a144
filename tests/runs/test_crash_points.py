"""A run is interrupted at every single operation that changes what is stored, and resumed: nothing lost, nothing twice, always readable."""

from __future__ import annotations

import random
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args
from uuid import uuid4

import fsspec
import pytest

from crashing_disk import CrashingDisk, End
from rumiai_ray.errors import StorageError
from rumiai_ray.storage import Store
from scripted_run import check_finished, check_interrupted, go_on, in_a_task, in_the_driver, one_insight

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from rumiai_ray.runs.writer import RunWriter
    from s3_server import Fate, S3Server

    Write = Callable[[RunWriter, Sequence[str]], None]


@pytest.fixture(params=[in_the_driver, in_a_task], ids=lambda way: way.__name__)
def write(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Write:
    """How groups are written and committed."""
    monkeypatch.setattr("rumiai_ray.engine.results.commit_task.ray.get", lambda payload: payload)
    monkeypatch.setattr("rumiai_ray.engine.results.commit_task._PAUSES_S", (0.0, 0.0))
    monkeypatch.setattr("rumiai_ray.engine.results.assemble.derive", one_insight)
    way: Write = request.param
    return way


def new(place: Path) -> Path:
    """An output directory that is not there yet, in a directory of its own that is."""
    parent = place / uuid4().hex
    parent.mkdir()
    return parent / "runs"


def on_disk(out: Path, write: Write, at: int | None = None, end: End = "killed") -> list[str]:
    """A process that ends at operation `at`; returns what it did."""
    disk = CrashingDisk(out.parent, at, end)
    with disk.at_work():
        if end == "error":
            with suppress(StorageError):
                go_on(out, write)
        else:
            go_on(out, write)
    return disk.operations


def test_the_crashing_disk_sees_every_byte_of_a_run(tmp_path: Path, write: Write) -> None:
    disk = CrashingDisk(tmp_path)
    with disk.at_work():
        go_on(tmp_path / "runs", write)
    check_finished(tmp_path / "runs")
    assert {path: path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()} == disk.written
    kinds = {operation.partition(" ")[0] for operation in disk.operations}
    assert kinds == {"make", "create", "write", "sync", "link", "replace", "remove"}


def state(out: Path) -> tuple[tuple[str, int], ...]:
    """What lies there, but for random names: two interruptions that leave the same are resumed once."""
    files = [(re.sub("[0-9a-f]{32}", "*", str(path.relative_to(out))), path.stat().st_size * path.is_file()) for path in out.rglob("*")]
    return tuple(sorted(files))


@pytest.mark.parametrize("end", get_args(End))
def test_a_run_interrupted_at_any_operation_on_a_disk_is_resumed_without_loss_or_duplicate(tmp_path: Path, write: Write, end: End) -> None:
    count = len(on_disk(new(tmp_path), write))
    seen = set()
    for at in range(count):
        out = new(tmp_path)
        assert len(on_disk(out, write, at, end)) > at
        found = state(out.parent)
        if found in seen:
            continue
        seen.add(found)
        check_interrupted(out)
        on_disk(out, write)
        check_finished(out)
    assert len(seen) > 5


def test_a_run_interrupted_twice_is_resumed_without_loss_or_duplicate(tmp_path: Path, write: Write) -> None:
    dice = random.Random(20)
    count = len(on_disk(new(tmp_path), write))
    for _ in range(30):
        out = new(tmp_path)
        for _ in range(2):
            on_disk(out, write, dice.randrange(count), dice.choice(get_args(End)))
            check_interrupted(out)
        on_disk(out, write)
        check_finished(out)


class Fates:
    """What becomes of request `at` of those that change something, how many of any kind are denied after it; the rest is answered."""

    def __init__(self, at: int | None = None, fate: Fate = "answered", *, then_denied: int = 0) -> None:
        self.count = 0
        self._at = at
        self._fate = fate
        self._then_denied = then_denied

    def __call__(self, method: str, path: str) -> Fate:
        del path
        number = self.count
        changes = method in {"PUT", "POST", "DELETE"}
        self.count += changes
        if self._at is not None and number > self._at and self._then_denied:
            self._then_denied -= 1
            return "denied"
        return self._fate if changes and number == self._at else "answered"


@dataclass
class OnS3:
    """Runs under a bucket of a server."""

    server: S3Server
    bucket: str
    place: Path
    write: Write

    def new(self) -> str:
        """An output URI without a run."""
        return f"{self.bucket}/{uuid4().hex}"

    def go_on(self, out: str, fates: Fates) -> int:
        """A process whose requests meet these fates; returns how many of them changed something or tried to."""
        with self.server.with_fates(fates):
            go_on(out, self.write)
        return fates.count

    def check(self, check: Callable[[Path], None], out: str) -> None:
        """Check what lies on the server."""
        copy = new(self.place)
        self.server.copy(out, copy)
        check(copy)


@pytest.fixture
def on_s3(s3: S3Server, bucket: str, tmp_path: Path, write: Write, one_try: None) -> OnS3:
    del one_try
    return OnS3(s3, bucket, tmp_path, write)


@pytest.mark.parametrize("write", [in_a_task], indirect=True)
def test_a_run_killed_between_any_two_requests_to_s3_is_resumed_without_loss_or_duplicate(on_s3: OnS3) -> None:
    for at in range(on_s3.go_on(on_s3.new(), Fates())):
        out = on_s3.new()
        with suppress(StorageError):
            # Turned away from here on, the process has no effect any more, whatever it tries.
            on_s3.go_on(out, Fates(at, "denied", then_denied=1_000_000))
        on_s3.check(check_interrupted, out)
        on_s3.go_on(out, Fates())
        on_s3.check(check_finished, out)


@pytest.mark.parametrize("fate", ["lost", "unanswered"])
@pytest.mark.parametrize("write", [in_a_task], indirect=True)
def test_a_run_goes_on_though_any_request_or_its_answer_is_lost(on_s3: OnS3, fate: Fate) -> None:
    count = on_s3.go_on(on_s3.new(), Fates())
    for at in range(count):
        out = on_s3.new()
        assert on_s3.go_on(out, Fates(at, fate)) > count
        on_s3.check(check_finished, out)


@pytest.mark.parametrize("outage", [0, 2], ids=["that can be looked up", "that cannot be looked up"])
@pytest.mark.parametrize("write", [in_the_driver], indirect=True)
def test_what_s3_did_and_called_a_failure_costs_nothing(on_s3: OnS3, outage: int) -> None:
    for at in range(on_s3.go_on(on_s3.new(), Fates())):
        out = on_s3.new()
        with suppress(StorageError):
            on_s3.go_on(out, Fates(at, "done and denied", then_denied=outage))
        on_s3.check(check_interrupted, out)
        on_s3.go_on(out, Fates())
        on_s3.check(check_finished, out)


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Objects from 5 MiB on go up in parts of 5 MiB, the least S3 takes; by default that begins at 50."""
    monkeypatch.setitem(fsspec.config.conf, "s3", {"default_block_size": 5 * 2**20, "fixed_upload_size": True})


@pytest.mark.usefixtures("small_parts")
def test_a_large_file_that_breaks_off_between_its_parts_is_not_there(s3: S3Server, bucket: str) -> None:
    data = random.Random(3).randbytes(12 * 2**20)
    store = Store.at(f"{bucket}/runs")
    fates = Fates()
    with s3.with_fates(fates):
        store.create("whole", data)
    assert store.read("whole") == data
    assert fates.count == 5, "one to begin, three parts, one to complete"
    for at in range(fates.count):
        with s3.with_fates(Fates(at, "denied")), pytest.raises(StorageError, match="cannot write the file"):
            store.create(f"broken {at}", data)
    assert store.names() == ["whole"]
    with pytest.raises(FileExistsError):
        store.create("whole", data[1:])
    assert store.read("whole") == data
