"""The shared store's promises: one decode for all nodes, nothing half there or damaged trusted, and trouble costs no video."""

from __future__ import annotations

import json
import logging
import pickle
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import uuid4

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from numbered_clips import numbered_clip
from rumiai_ray.config import load_config
from rumiai_ray.engine.setup.run_setup import open_store
from rumiai_ray.errors import ConfigError, StorageError
from rumiai_ray.frames.decode.parent import decode
from rumiai_ray.frames.limits import DecodeLimits
from rumiai_ray.frames.sampling import SamplingSpec
from rumiai_ray.frames.shared import entry as _remote_entry
from rumiai_ray.frames.shared import store as remote_module
from rumiai_ray.frames.shared.store import Remote
from rumiai_ray.frames.store import store as store_module
from rumiai_ray.frames.store import trouble as _trouble
from rumiai_ray.frames.store.files import ChecksummedFile, sha256_of
from rumiai_ray.frames.store.store import FrameStore
from rumiai_ray.storage import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rumiai_ray.frames.store.stored import Origin, StoredVideo

SPEC = SamplingSpec(fps=5)
FILES = ["audio.parquet", "facts.json", "frames.parquet", "thumbnails.parquet"]


class Moody(MemoryFileSystem):  # type: ignore[misc]  # fsspec has no types
    """A file system in memory that is told how it feels."""

    protocol = "moody"
    cachable = False
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    mood: ClassVar[str] = "well"
    failures_left: ClassVar[int] = 0
    requests: ClassVar[int] = 0
    released = threading.Event()

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.removeprefix("moody://")))

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        self._feel(path, mode)
        return super()._open(path, mode, **options)

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **options: Any) -> Any:
        self._feel(path, "rb")
        return super().cat_file(path, start, end, **options)

    def _feel(self, path: str, mode: str) -> None:
        Moody.requests += 1
        if self.mood == "hangs":
            self.released.wait()
        if self.mood == "gone" or self.failures_left:
            Moody.failures_left = max(0, self.failures_left - 1)
            raise ConnectionRefusedError("nobody listens")
        if self.mood == "locked" or (self.mood == "read-only" and mode != "rb"):
            raise PermissionError(path)


@pytest.fixture(autouse=True)
def no_memory_of_earlier_tests(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test has a process of its own, as far as the shared store knows; and nobody waits before trying again."""
    fsspec.register_implementation("moody", Moody, clobber=True)
    Moody.store.clear()
    Moody.requests = 0
    monkeypatch.setattr(_trouble, "_WAITS_S", (0.0, 0.0))
    _trouble.patience_with.cache_clear()
    remote_module._store.cache_clear()
    yield
    Moody.mood, Moody.failures_left = "well", 0


@pytest.fixture(params=["directory", "memory", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A shared store, empty."""
    match request.param:
        case "directory":
            return directory_in(tmp_path)
        case "memory":
            return f"memory://{uuid4().hex}/frames"
        case _:
            return f"{request.getfixturevalue('bucket')}/frames"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return numbered_clip(tmp_path_factory.mktemp("clips") / "clip.mkv", 7)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """What has been decoded since the test began."""
    paths: list[Path] = []

    def counting(path: Path, *arguments: Any, **options: Any) -> Any:
        paths.append(path)
        return decode(path, *arguments, **options)

    monkeypatch.setattr(store_module, "decode", counting)
    return paths


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """The warnings since it was last asked."""
    caplog.set_level(logging.WARNING, logger="rumiai_ray")

    def new() -> list[str]:
        said = [record.getMessage() for record in caplog.records]
        caplog.clear()
        return said

    return new


def directory_in(tmp_path: Path) -> str:
    (tmp_path / "shared").mkdir()
    return str(tmp_path / "shared")


def node(tmp_path: Path, name: str, place: str, *, max_bytes: int | None = None) -> FrameStore:
    """The store of a node that knows the shared one."""
    return FrameStore(tmp_path / name, spec=SPEC, limits=DecodeLimits(), max_bytes=max_bytes, remote=Remote.at(place).checked())


def origin(store: FrameStore, clip: Path) -> Origin:
    with store.ensure(clip, sha256_of(clip)) as video:
        return video.origin


def contents(video: StoredVideo) -> tuple[list[float], list[bytes], bytes, int]:
    audio = video.audio()
    assert audio is not None
    frames = [jpeg for batch in video.batches() for jpeg in batch.jpegs]
    return video.times_s.tolist(), frames, audio.samples.tobytes(), len(video.thumbnails()[0])


def objects(place: str) -> dict[str, str]:
    """Full path of every object of the one entry there is, by the file it holds."""
    driver, root = fsspec.url_to_fs(place, use_listings_cache=False)
    found = [str(path) for path in driver.find(root)]
    by_file = {name: path for path in found for name in (*FILES, "COMPLETE.json") if path.endswith(name)}
    assert len(by_file) == len(found), found
    return by_file


def flip_a_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut_in_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() * 2)


def remove(path: Path) -> None:
    path.unlink()


def test_what_one_node_decoded_every_other_node_fetches(tmp_path: Path, place: str, clip: Path, decoded: list[Path]) -> None:
    with node(tmp_path, "one", place).ensure(clip, sha256_of(clip)) as made:
        assert made.origin == "miss"
        expected = contents(made)
    assert sorted(objects(place)) == ["COMPLETE.json", *FILES]
    two = node(tmp_path, "two", place)
    with two.ensure(clip.with_name("moved away"), sha256_of(clip)) as fetched:
        assert fetched.origin == "remote"
        assert contents(fetched) == expected
        assert (fetched.key, fetched.facts) == (made.key, made.facts)
    assert two.verify() == [(made.key, None)]
    assert origin(two, clip) == "hit"
    assert decoded == [clip]


def test_a_file_larger_than_a_block_arrives_and_comes_back_whole(
    tmp_path: Path, place: str, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    block = 5 * 2**20  # S3 takes no smaller parts
    monkeypatch.setattr(_remote_entry, "_BLOCK_BYTES", block)
    one = FrameStore(tmp_path / "one", spec=SPEC, limits=DecodeLimits())
    with one.ensure(clip, sha256_of(clip)) as video:
        directory = one.root / video.key[:2] / video.key
    large = bytes(range(256)) * (2 * block // 256) + b"the end"
    (directory / "frames.parquet").write_bytes(large)
    store = Store.at(place)
    _remote_entry.send(store, video.key, directory, _trouble.Deadline(60))
    uploaded = f"{video.key[:2]}/{video.key}/{objects(place)['frames.parquet'].rpartition('/')[2]}"
    assert store.read(uploaded) == large
    assert b"".join(_remote_entry._blocks(store, uploaded)) == large


def test_other_sampling_is_another_entry_there_too(tmp_path: Path, clip: Path) -> None:
    place = directory_in(tmp_path)
    assert origin(node(tmp_path, "one", place), clip) == "miss"
    other = FrameStore(tmp_path / "two", spec=SamplingSpec(fps=2), limits=DecodeLimits(), remote=Remote.at(place))
    assert origin(other, clip) == "miss"


def test_a_store_travels_with_its_remote_to_a_node_that_has_no_store_yet(tmp_path: Path, place: str, clip: Path) -> None:
    store = node(tmp_path, "driver's", place)
    for expected in ("miss", "remote"):
        shutil.rmtree(store.root)  # the driver's disk is not the worker's
        travelled = pickle.loads(pickle.dumps(store))  # noqa: S301 -- made here
        assert [origin(travelled, clip), origin(travelled, clip)] == [expected, "hit"]
    assert sorted(objects(place)) == ["COMPLETE.json", *FILES]


def test_an_evicted_entry_is_fetched_again(tmp_path: Path, clip: Path, decoded: list[Path]) -> None:
    store = node(tmp_path, "one", directory_in(tmp_path))
    origin(store, clip)
    assert len(store.prune(0)) == 1
    assert origin(store, clip) == "remote"
    assert decoded == [clip]


def test_fetching_keeps_the_size_limit(tmp_path: Path) -> None:
    place = directory_in(tmp_path)
    one = node(tmp_path, "one", place)
    clips = [numbered_clip(tmp_path / f"{number}.mkv", number) for number in range(3)]
    for clip in clips:
        origin(one, clip)
    two = node(tmp_path, "two", place, max_bytes=one.entries()[0].bytes * 3 // 2)
    assert [origin(two, clip) for clip in clips] == ["remote"] * 3
    assert [entry.video_key for entry in two.entries()] == [sha256_of(clips[-1])]


def test_an_entry_that_was_in_the_node_s_store_before_can_be_shared(tmp_path: Path, clip: Path) -> None:
    place = directory_in(tmp_path)
    alone = FrameStore(tmp_path / "one", spec=SPEC, limits=DecodeLimits())
    with alone.ensure(clip, sha256_of(clip)) as video:
        assert not alone.share(video)
    one = node(tmp_path, "one", place)
    with one.ensure(clip, sha256_of(clip)) as video:
        assert video.hit
        assert one.share(video)
        before = objects(place)
        assert one.share(video)
    assert objects(place) == before
    assert origin(node(tmp_path, "two", place), clip) == "remote"


def test_half_an_upload_is_no_entry(tmp_path: Path, place: str, clip: Path, decoded: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as dying:
        dying.setattr(Store, "create", lambda *_: pytest.fail("killed"))
        two = FrameStore(tmp_path / "one", spec=SPEC, limits=DecodeLimits(), remote=Remote.at(place))
        with pytest.raises(pytest.fail.Exception):
            origin(two, clip)
    assert sorted(objects(place)) == FILES
    assert [origin(node(tmp_path, name, place), clip) for name in ("two", "three")] == ["miss", "remote"]
    assert decoded == [clip, clip]


@pytest.mark.parametrize("name", [*FILES, "COMPLETE.json"])
@pytest.mark.parametrize("harm", [flip_a_byte, cut_in_half, lengthen, remove])
def test_a_damaged_entry_is_never_trusted_and_is_made_good_by_the_next_decode(
    tmp_path: Path, clip: Path, decoded: list[Path], warnings: Callable[[], list[str]], name: str, harm: Callable[[Path], None]
) -> None:
    place = directory_in(tmp_path)
    with node(tmp_path, "one", place).ensure(clip, sha256_of(clip)) as made:
        expected = contents(made)
    harm(Path(objects(place)[name]))
    with node(tmp_path, "two", place).ensure(clip, sha256_of(clip)) as again:
        assert again.origin == "miss"
        assert contents(again) == expected
    said = warnings()
    absent = (name, harm) == ("COMPLETE.json", remove)
    assert [name in line and made.key in line for line in said] == ([] if absent else [True])
    three = node(tmp_path, "three", place)
    assert origin(three, clip) == "remote"
    assert three.verify() == [(made.key, None)]
    assert decoded == [clip, clip]
    assert warnings() == []


def test_damage_in_an_object_store_is_made_good_as_well(tmp_path: Path, place: str, clip: Path) -> None:
    origin(node(tmp_path, "one", place), clip)
    driver, _ = fsspec.url_to_fs(place)
    damaged = objects(place)["frames.parquet"]
    driver.pipe_file(damaged, driver.cat_file(damaged)[:-1])
    assert [origin(node(tmp_path, name, place), clip) for name in ("two", "three")] == ["miss", "remote"]
    assert damaged not in objects(place).values(), "what nobody names any more was left lying"


def test_a_node_that_may_not_write_leaves_damage_to_others(tmp_path: Path, clip: Path) -> None:
    place = directory_in(tmp_path)
    origin(node(tmp_path, "one", place), clip)
    flip_a_byte(Path(objects(place)["facts.json"]))
    before = objects(place)
    reader = FrameStore(tmp_path / "two", spec=SPEC, limits=DecodeLimits(), remote=Remote(place, writable=False))
    assert origin(reader, clip) == "miss"
    assert objects(place) == before


def test_an_entry_in_another_one_s_place_is_noticed(tmp_path: Path, clip: Path, warnings: Callable[[], list[str]]) -> None:
    place, other = directory_in(tmp_path), numbered_clip(tmp_path / "other.mkv", 8)
    one = node(tmp_path, "one", place)
    origin(one, clip)
    mine, theirs = (one.key_of(sha256_of(path)) for path in (clip, other))
    (Path(place) / theirs[:2]).mkdir(exist_ok=True)
    shutil.copytree(Path(place, mine[:2], mine), Path(place, theirs[:2], theirs))
    assert origin(node(tmp_path, "two", place), other) == "miss"
    assert ["belongs to another entry" in line for line in warnings()] == [True]


@pytest.mark.parametrize("forgery", ["file", "upload", "size"])
def test_names_in_a_completion_object_lead_nowhere_else(tmp_path: Path, clip: Path, forgery: str) -> None:
    place = directory_in(tmp_path)
    origin(node(tmp_path, "one", place), clip)
    completion = Path(objects(place)["COMPLETE.json"])
    body = json.loads(completion.read_text())
    record = json.loads(body["record"])
    if forgery == "file":
        record["files"]["../../outside"] = record["files"]["facts.json"]
    elif forgery == "size":
        record["files"]["facts.json"]["bytes"] = "many"
    else:
        body["upload"] = "../../../outside"
    del record["record_sha256"]
    from rumiai_ray.frames.store.entry import _digest  # noqa: PLC0415 -- a forger can compute it too

    body["record"] = json.dumps({**record, "record_sha256": _digest(record)})
    completion.write_text(json.dumps(body))
    assert origin(node(tmp_path, "two", place), clip) == "miss"
    assert list(tmp_path.rglob("outside*")) == []


RACER = """
import sys, time
from pathlib import Path
from rumiai_ray.frames.store import entry as _entry
from rumiai_ray.frames.store.files import sha256_of
from rumiai_ray.frames.limits import DecodeLimits
from rumiai_ray.frames.shared.store import Remote
from rumiai_ray.frames.sampling import SamplingSpec
from rumiai_ray.frames.store.store import FrameStore
from rumiai_ray.storage import Store
root, clip, place, rows, meeting = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]), Path(sys.argv[5])
_entry.FRAMES_A_ROW_GROUP = _entry._THUMBNAILS_A_ROW_GROUP = rows  # the same frames in other files than the other racer's
publish = Store.publish
def together(self, path, data):
    (meeting / sys.argv[4]).touch()
    while len(list(meeting.iterdir())) < 2: time.sleep(0.001)
    publish(self, path, data)
Store.publish = together
store = FrameStore(root, spec=SamplingSpec(fps=5), limits=DecodeLimits(), remote=Remote.at(place))
with store.ensure(clip, sha256_of(clip)) as video: print(video.origin, store.share(video))
"""


@pytest.mark.parametrize("place", ["directory", "s3"], indirect=True)
def test_of_two_nodes_that_upload_at_once_one_is_there_and_nothing_is_mixed(tmp_path: Path, place: str, clip: Path) -> None:
    (tmp_path / "meeting").mkdir()
    arguments = [(tmp_path / name, clip, place, rows, tmp_path / "meeting") for name, rows in (("one", 2), ("two", 3))]
    command = [sys.executable, "-c", RACER]
    racers = [subprocess.Popen([*command, *map(str, one)], stdout=subprocess.PIPE, text=True) for one in arguments]
    assert [racer.communicate(timeout=120)[0] for racer in racers] == ["miss True\n"] * 2
    three = node(tmp_path, "three", place)
    assert origin(three, clip) == "remote"
    key = three.entries()[0].key
    ours, *theirs = ((tmp_path / name / key[:2] / key / "COMPLETE.json").read_text() for name in ("three", "one", "two"))
    assert theirs[0] != theirs[1], "the two made the same bytes, so a mixture would not show"
    assert ours in theirs
    assert sorted(objects(place)) == ["COMPLETE.json", *FILES]


def test_an_upload_whose_answer_was_lost_is_not_taken_away(tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = directory_in(tmp_path)
    publish = Store.publish

    def answered_late(store: Store, path: str, data: bytes) -> None:
        publish(store, path, data)
        assert path.endswith("COMPLETE.json")
        raise FileExistsError(path)

    monkeypatch.setattr(Store, "publish", answered_late)
    assert [origin(node(tmp_path, name, place), clip) for name in ("one", "two")] == ["miss", "remote"]


def test_a_remote_that_goes_away_costs_one_warning_and_no_video(tmp_path: Path, clip: Path, warnings: Callable[[], list[str]]) -> None:
    store = node(tmp_path, "one", "moody://frames")
    Moody.mood = "gone"
    clips = [clip, *(numbered_clip(tmp_path / f"{number}.mkv", number) for number in range(3))]
    assert [origin(store, one) for one in clips] == ["miss"] * 4
    said = warnings()
    assert ["nobody listens" in line and "going on" in line for line in said] == [True]
    patience = _trouble.patience_with("moody://frames")
    assert (patience.failures, patience.unasked) == (1, 7)
    assert Moody.requests == 3 + 3, "three when it was checked, three attempts, then none"


def test_a_remote_that_comes_back_is_used_again(
    tmp_path: Path, clip: Path, warnings: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_trouble, "_PAUSE_S", 0.0)
    one, two = (node(tmp_path, name, "moody://frames") for name in ("one", "two"))
    Moody.mood = "gone"
    assert origin(one, clip) == "miss"
    assert len(warnings()) == 2  # the fetch, and after a pause of no length the upload
    Moody.mood = "well"
    with one.ensure(clip, sha256_of(clip)) as video:
        assert one.share(video)
    assert origin(two, clip) == "remote"


def test_the_pause_grows_with_each_failure_and_ends_with_the_first_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    patience = _trouble.Patience("here")

    def fails(_: _trouble.Deadline) -> bool:
        raise _trouble.RemoteError("no")

    pauses = []
    for _ in range(7):
        assert patience.ask("asking", fails) is None
        pauses.append(patience._alone_until - now)
        assert patience.ask("asking", lambda _: True) is None, "it was asked in the pause"
        now = patience._alone_until
    assert pauses == [60, 120, 240, 480, 960, 960, 960]
    assert patience.ask("asking", lambda _: True)
    assert patience.ask("asking", fails) is None
    assert patience._alone_until - now == 60
    assert patience.failures == 8


def test_trouble_that_passes_is_sat_out(tmp_path: Path, clip: Path, warnings: Callable[[], list[str]]) -> None:
    one, two = (node(tmp_path, name, "moody://frames") for name in ("one", "two"))
    Moody.failures_left = 2
    origin(one, clip)
    Moody.failures_left = 2
    assert origin(two, clip) == "remote"
    assert warnings() == []


def test_a_remote_that_never_answers_is_given_up(
    tmp_path: Path, clip: Path, warnings: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = node(tmp_path, "one", "moody://frames")
    monkeypatch.setattr(_trouble, "LIMIT_S", 0.2)
    Moody.mood = "hangs"
    try:
        assert origin(store, clip) == "miss"
    finally:
        Moody.released.set()
    assert ["no answer within 0.2 s" in line for line in warnings()] == [True]


def test_a_disk_that_is_not_mounted_is_trouble_and_not_an_empty_store(
    tmp_path: Path, clip: Path, warnings: Callable[[], list[str]]
) -> None:
    place = Path(directory_in(tmp_path))
    store = node(tmp_path, "one", str(place))
    place.rmdir()
    assert origin(store, clip) == "miss"
    assert ["mounted" in line for line in warnings()] == [True]
    assert not place.exists()


@pytest.fixture
def stop_server(bucket: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Makes this process find nobody where the server was."""
    driver = type(fsspec.filesystem("s3"))

    def stop() -> None:
        assert bucket
        monkeypatch.setattr(_trouble, "_WAITS_S", ())  # s3fs alone takes 8 s to give up
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{closed_port()}")
        remote_module._store.cache_clear()
        driver.clear_instance_cache()

    yield stop
    driver.clear_instance_cache()


def test_a_server_that_stops_during_a_run_costs_no_video(
    tmp_path: Path, bucket: str, clip: Path, stop_server: Callable[[], None], warnings: Callable[[], list[str]]
) -> None:
    store = node(tmp_path, "one", bucket)
    stop_server()
    assert origin(store, clip) == "miss"
    assert [line.startswith(f"shared frame store {bucket}") for line in warnings()] == [True]


def test_a_read_only_remote_is_said_to_be_one_and_is_read(tmp_path: Path, clip: Path, warnings: Callable[[], list[str]]) -> None:
    origin(node(tmp_path, "one", "moody://frames"), clip)
    Moody.mood = "read-only"
    two = node(tmp_path, "two", "moody://frames")
    assert ["writing is refused" in line for line in warnings()] == [True]
    assert origin(two, clip) == "remote"
    before = sorted(Moody.store)
    assert origin(two, numbered_clip(tmp_path / "other.mkv", 8)) == "miss"
    assert sorted(Moody.store) == before
    assert warnings() == []


def test_a_remote_that_becomes_read_only_is_still_read(tmp_path: Path, clip: Path, warnings: Callable[[], list[str]]) -> None:
    one, two = (node(tmp_path, name, "moody://frames") for name in ("one", "two"))
    origin(one, clip)
    Moody.mood = "read-only"
    assert origin(two, clip) == "remote"
    assert origin(two, numbered_clip(tmp_path / "other.mkv", 8)) == "miss"
    assert ["PermissionError" in line and "uploading" in line for line in warnings()] == [True]


def test_the_node_s_own_full_disk_is_not_blamed_on_the_remote(tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = directory_in(tmp_path)
    origin(node(tmp_path, "one", place), clip)
    two = node(tmp_path, "two", place)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ChecksummedFile, "write", full)
    with pytest.raises(StorageError, match=r"fetching an entry.*free space"):
        origin(two, clip)
    assert list((two.root / ".partial").iterdir()) == []
    assert len(objects(place)) == 5


def closed_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def opening(tmp_path: Path, place: str) -> FrameStore:
    return open_store(load_config(flags={"store": str(tmp_path / "store"), "store_remote": place}))


def test_a_relative_directory_is_the_same_for_workers_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory_in(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert opening(tmp_path, "shared").remote == Remote(str(tmp_path / "shared"))


@pytest.mark.parametrize("place", ["nosuch://host/frames", "/nowhere/at/all", "file:///nowhere/at/all"])
def test_a_place_that_cannot_be_one_is_refused_before_anything_starts(tmp_path: Path, place: str) -> None:
    with pytest.raises(ConfigError):
        opening(tmp_path, place)


def test_a_place_that_cannot_be_read_is_refused_before_anything_starts(tmp_path: Path) -> None:
    Moody.mood = "locked"
    with pytest.raises(StorageError, match=r"no permission.*--store-remote"):
        opening(tmp_path, "moody://frames")


def test_a_bucket_that_is_not_there_is_refused_before_anything_starts(tmp_path: Path, bucket: str) -> None:
    assert opening(tmp_path, f"{bucket}/frames").remote == Remote(f"{bucket}/frames")
    with pytest.raises(StorageError, match="--store-remote, the bucket"):
        opening(tmp_path, f"{bucket}-misspelt/frames")


def test_a_server_that_is_not_there_is_refused_before_anything_starts(tmp_path: Path, bucket: str, stop_server: Callable[[], None]) -> None:
    stop_server()
    with pytest.raises(StorageError, match="cannot be used"):
        opening(tmp_path, f"{bucket}/frames")


def test_the_check_leaves_nothing_behind(tmp_path: Path, place: str) -> None:
    opening(tmp_path, place)
    driver, root = fsspec.url_to_fs(place, use_listings_cache=False)
    assert driver.find(root) == []
