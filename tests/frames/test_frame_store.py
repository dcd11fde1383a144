"""The store's promises: one decode per content and spec, nothing half there, nothing damaged served, nothing in use evicted."""

from __future__ import annotations

import json
import logging
import os
import pickle
import shutil
import struct
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from rumiai_ray.errors import InputError, MediaError, StorageError
from rumiai_ray.frames import sampling as sampling_module
from rumiai_ray.frames.decode import parent as decode_module
from rumiai_ray.frames.decode.changed import ChangedError
from rumiai_ray.frames.limits import DecodeLimits
from rumiai_ray.frames.sampling import SamplingSpec
from rumiai_ray.frames.store import store as store_module
from rumiai_ray.frames.store.entry import CompletionRecord
from rumiai_ray.frames.store.files import sha256_of
from rumiai_ray.frames.store.store import FrameStore
from synthetic_clips import grid_times_s, make_clip, number_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from rumiai_ray.frames.decode.parent import Piece
    from rumiai_ray.frames.store.stored import StoredVideo

SPEC = SamplingSpec(fps=25)  # 76 of the clip's 150 frames: three row groups
ENTRY_FILES = ["COMPLETE.json", "audio.parquet", "facts.json", "frames.parquet", "thumbnails.parquet"]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", grid_times_s(50, 3), sound_from_to_s=[(0, 3)])


@pytest.fixture
def store(tmp_path: Path) -> FrameStore:
    return FrameStore(tmp_path / "store", spec=SPEC, limits=DecodeLimits())


@pytest.fixture
def no_decoding(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Call it, and from then on any decoding is an error."""

    def forbid(*_: object) -> None:
        raise AssertionError("the decoder was called")

    return lambda: monkeypatch.setattr(store_module, "decode", forbid)


def variant(clip: Path, directory: Path, name: str) -> Path:
    """A clip of the same pictures and sound but other bytes: a box is added that no player looks into."""
    path = directory / f"{name}.mp4"
    path.write_bytes(clip.read_bytes() + struct.pack(">I4s", 8 + len(name), b"free") + name.encode())
    return path


def directory_of(store: FrameStore, video: StoredVideo) -> Path:
    return store.root / video.key[:2] / video.key


def left_in_partial(store: FrameStore) -> list[str]:
    return os.listdir(store.root / ".partial")  # noqa: PTH208 -- names are enough


def on_another_node(store: FrameStore) -> FrameStore:
    """The store as a worker of a node gets it where nobody has made its directory."""
    shutil.rmtree(store.root, ignore_errors=True)
    return pickle.loads(pickle.dumps(store))  # type: ignore[no-any-return]  # noqa: S301 -- made here


def contents(video: StoredVideo) -> tuple[list[int], list[float], list[bytes], bytes, int]:
    batches = list(video.batches())
    audio = video.audio()
    assert audio is not None
    return (
        [int(number) for batch in batches for number in batch.source_frame],
        video.times_s.tolist(),
        [jpeg for batch in batches for jpeg in batch.jpegs],
        audio.samples.tobytes(),
        len(video.thumbnails()[0]),
    )


def test_a_second_request_decodes_nothing_and_gives_the_same(store: FrameStore, clip: Path, no_decoding: Callable[[], None]) -> None:
    with store.ensure(clip, sha256_of(clip)) as first:
        assert not first.hit
        expected = contents(first)
    no_decoding()
    with store.ensure(clip.with_name("moved away"), sha256_of(clip)) as second:
        assert second.hit
        assert contents(second) == expected
        assert (second.key, second.video_key, second.facts) == (first.key, sha256_of(clip), first.facts)


def test_batches_hold_every_sampled_frame_once_and_in_order(store: FrameStore, clip: Path) -> None:
    with store.ensure(clip, sha256_of(clip)) as video:
        assert video.facts.frames_sampled == 76
        for size in (1, 10, 32, 50, 200):
            batches = list(video.batches(size))
            assert [len(batch.jpegs) for batch in batches[:-1]] == [size] * (len(batches) - 1)
            assert np.concatenate([batch.frame_index for batch in batches]).tolist() == list(range(76))
            assert np.concatenate([batch.time_s for batch in batches]).tolist() == video.times_s.tolist()
        for batch in video.batches():
            assert [number_in(jpeg) for jpeg in batch.jpegs] == batch.source_frame.tolist()


def test_audio_and_thumbnails_come_back_as_decoded(store: FrameStore, clip: Path) -> None:
    with store.ensure(clip, sha256_of(clip)) as video:
        audio = video.audio()
        assert audio is not None
        assert audio.samples.dtype == np.int16
        assert len(audio.samples) / 16_000 == pytest.approx(3, abs=0.05)
        assert video.facts.audio_duration_s == pytest.approx(len(audio.samples) / 16_000)
        jpegs, time_s = video.thumbnails()
        assert len(jpegs) == len(time_s) == video.facts.frames_decoded == 150
        assert time_s == pytest.approx(np.arange(150) / 50, abs=1e-3)


def test_every_sampled_frame_knows_from_when_until_when_it_is_shown(store: FrameStore, tmp_path: Path) -> None:
    path = make_clip(tmp_path / "held.mkv", [0.0, 6.0, *(6.0 + number / 25 for number in range(1, 26))], container="matroska")
    with store.ensure(path, sha256_of(path)) as video:
        assert video.shown_from_s.tolist() == video.times_s.tolist()
        assert video.shown_from_s[:2] == pytest.approx([0.0, 6.0], abs=2e-3)
        assert video.shown_until_s[:2] == pytest.approx([6.0, 6.04], abs=2e-3)
        assert video.shown_until_s[-1] == pytest.approx(video.facts.duration_s, abs=0.05)
        assert np.all(video.shown_until_s > video.shown_from_s)
        assert np.all(video.shown_until_s[:-1] <= video.shown_from_s[1:])


def test_frames_lie_uncompressed_in_row_groups_of_32(store: FrameStore, clip: Path) -> None:
    with store.ensure(clip, sha256_of(clip)) as video:
        assert sorted(path.name for path in directory_of(store, video).iterdir()) == ENTRY_FILES
        metadata = pq.read_metadata(directory_of(store, video) / "frames.parquet")
    assert [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)] == [32, 32, 12]
    column = metadata.row_group(0).column(3)
    assert (column.path_in_schema, column.compression) == ("jpeg", "UNCOMPRESSED")


def test_another_sampling_or_another_content_is_another_entry(tmp_path: Path, clip: Path) -> None:
    root = tmp_path / "store"
    keys = set()
    for spec in (SPEC, SamplingSpec(fps=2)):
        store = FrameStore(root, spec=spec, limits=DecodeLimits())
        for path in (clip, variant(clip, tmp_path, "other")):
            with store.ensure(path, sha256_of(path)) as video:
                assert not video.hit
                keys.add(video.key)
    assert len(keys) == 4
    assert {entry.key for entry in store.entries()} == keys


def test_another_decoder_never_serves_what_the_old_one_made(store: FrameStore, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with store.ensure(clip, sha256_of(clip)) as old:
        pass
    monkeypatch.setattr(sampling_module, "decoder_digest", lambda: "av 99")
    with store.ensure(clip, sha256_of(clip)) as new:
        assert not new.hit
        assert new.key != old.key


def test_a_file_that_was_still_being_written_when_it_was_hashed_is_refused_and_not_kept(
    store: FrameStore, clip: Path, tmp_path: Path
) -> None:
    path = tmp_path / "copying.mp4"
    path.write_bytes(clip.read_bytes()[:-100])
    hashed = sha256_of(path)
    path.write_bytes(clip.read_bytes())
    with pytest.raises(MediaError, match=r"copying\.mp4.*changed while it was read.*again") as caught:
        store.ensure(path, hashed)
    assert caught.value.retryable
    assert store.entries() == []
    assert left_in_partial(store) == []
    with store.ensure(path, sha256_of(path)) as video:
        assert not video.hit


def test_a_file_that_changes_after_it_was_decoded_is_refused(
    store: FrameStore, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = variant(clip, tmp_path, "changing")
    hashed = sha256_of(path)
    understood = decode_module._understood

    def and_meanwhile(*message: Any) -> Iterator[Piece]:
        flip_a_byte(path)
        monkeypatch.setattr(decode_module, "_understood", understood)
        return understood(*message)

    monkeypatch.setattr(decode_module, "_understood", and_meanwhile)
    with pytest.raises(ChangedError):
        store.ensure(path, hashed)
    assert store.entries() == []


def test_a_file_replaced_by_no_video_is_said_to_have_changed_not_to_be_damaged(store: FrameStore, clip: Path, tmp_path: Path) -> None:
    path = variant(clip, tmp_path, "replaced")
    hashed = sha256_of(path)
    path.write_text("no video at all")
    with pytest.raises(ChangedError):
        store.ensure(path, hashed)


def test_an_entry_of_another_version_is_named_not_a_traceback(store: FrameStore, clip: Path) -> None:
    with store.ensure(clip, sha256_of(clip)) as video:
        directory = directory_of(store, video)
    facts = json.loads((directory / "facts.json").read_text())
    del facts["lost_video"]
    (directory / "facts.json").write_text(json.dumps(facts))
    record = CompletionRecord.from_json((directory / "COMPLETE.json").read_text())
    size, digest = (directory / "facts.json").stat().st_size, sha256_of(directory / "facts.json")
    record.files["facts.json"] = {"bytes": size, "sha256": digest}
    (directory / "COMPLETE.json").write_text(record.to_json())
    assert store.verify() == [(video.key, "facts.json was written by another version of this package")]
    with pytest.raises(StorageError, match="damaged"):
        store.open(video.key)


def flip_a_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut_in_half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def remove(path: Path) -> None:
    path.unlink()


@pytest.fixture(scope="module")
def sound_store(tmp_path_factory: pytest.TempPathFactory, clip: Path) -> FrameStore:
    """Holds the clip; to be copied, not to be harmed."""
    store = FrameStore(tmp_path_factory.mktemp("sound") / "store", spec=SPEC, limits=DecodeLimits())
    store.ensure(clip, sha256_of(clip)).close()
    return store


@pytest.mark.parametrize("name", ENTRY_FILES)
@pytest.mark.parametrize("harm", [flip_a_byte, cut_in_half, remove])
def test_a_damaged_entry_is_never_served_but_made_anew(
    sound_store: FrameStore, clip: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, harm: Callable[[Path], None]
) -> None:
    shutil.copytree(sound_store.root, tmp_path / "store")
    store = FrameStore(tmp_path / "store", spec=SPEC, limits=DecodeLimits())
    with store.ensure(clip, sha256_of(clip)) as video:
        assert video.hit
        expected = contents(video)
    harm(directory_of(store, video) / name)
    assert [bool(problem) for _, problem in store.verify()] == [True]
    with pytest.raises(StorageError, match="damaged"):
        store.open(video.key)
    with caplog.at_level(logging.WARNING, logger="rumiai_ray"), store.ensure(clip, sha256_of(clip)) as again:
        assert not again.hit
        assert contents(again) == expected
    assert [record.getMessage().count(name) for record in caplog.records] == [1]
    assert store.verify() == [(video.key, None)]
    assert left_in_partial(store) == []


def test_a_forged_checksum_does_not_help(store: FrameStore, clip: Path) -> None:
    with store.ensure(clip, sha256_of(clip)) as video:
        record_path = directory_of(store, video) / "COMPLETE.json"
    record = json.loads(record_path.read_text())
    record["files"]["facts.json"]["sha256"] = "0" * 64
    record_path.write_text(json.dumps(record))
    assert store.verify() == [(video.key, "COMPLETE.json was changed")]


def test_an_entry_put_in_another_ones_place_is_noticed(store: FrameStore, clip: Path, tmp_path: Path) -> None:
    other = variant(clip, tmp_path, "other")
    with store.ensure(clip, sha256_of(clip)) as one, store.ensure(other, sha256_of(other)) as two:
        pass
    for name in ENTRY_FILES:
        (directory_of(store, two) / name).write_bytes((directory_of(store, one) / name).read_bytes())
    assert dict(store.verify())[two.key] == "COMPLETE.json belongs to another entry"


def test_an_unreadable_video_leaves_nothing_behind(store: FrameStore, tmp_path: Path) -> None:
    path = tmp_path / "text.mp4"
    path.write_text("no video at all")
    with pytest.raises(MediaError, match=r"text\.mp4"):
        store.ensure(path, sha256_of(path))
    with pytest.raises(InputError):
        store.ensure(tmp_path / "nowhere.mp4", "0" * 64)
    assert left_in_partial(store) == []
    assert [path for path in store.root.rglob("*") if path.is_file()] == []


def test_an_unknown_key_is_an_error_that_creates_nothing(store: FrameStore) -> None:
    with pytest.raises(StorageError, match="no such entry"):
        store.open("0" * 64)
    assert [path for path in store.root.rglob("*") if path.is_file()] == []


def test_an_entry_opens_by_its_key(store: FrameStore, clip: Path) -> None:
    with store.ensure(clip, sha256_of(clip)) as made, store.open(made.key) as opened:
        assert opened.hit
        assert opened.times_s.tolist() == made.times_s.tolist()


def test_the_least_recently_used_entries_go_first(store: FrameStore, clip: Path, tmp_path: Path) -> None:
    keys, hashes = {}, {}
    for name in ("a", "b", "c"):
        path = variant(clip, tmp_path, name)
        hashes[name] = sha256_of(path)
        with store.ensure(path, hashes[name]) as video:
            keys[name] = video.key
    store.open(keys["a"]).close()
    assert [entry.video_key for entry in store.entries()] == [hashes[name] for name in ("b", "c", "a")]
    size = sum(entry.bytes for entry in store.entries())
    assert store.prune(size) == []
    assert store.prune(size - 1) == [keys["b"]]
    assert store.prune(0) == [keys["c"], keys["a"]]
    assert store.entries() == []
    assert left_in_partial(store) == []


def test_a_size_limit_is_kept_while_the_store_grows(tmp_path: Path, clip: Path) -> None:
    root = tmp_path / "store"
    paths = [variant(clip, tmp_path, str(number)) for number in range(4)]
    with FrameStore(root, spec=SPEC, limits=DecodeLimits()).ensure(paths[0], sha256_of(paths[0])):
        pass
    size = FrameStore(root, spec=SPEC, limits=DecodeLimits()).entries()[0].bytes
    store = FrameStore(root, spec=SPEC, limits=DecodeLimits(), max_bytes=size * 5 // 2)
    for path in paths[1:]:
        store.ensure(path, sha256_of(path)).close()
    assert [entry.video_key for entry in store.entries()] == [sha256_of(path) for path in paths[2:]]


def test_an_entry_in_use_is_never_evicted(store: FrameStore, clip: Path, tmp_path: Path) -> None:
    other = variant(clip, tmp_path, "other")
    with store.ensure(clip, sha256_of(clip)) as used, store.ensure(other, sha256_of(other)) as idle:
        idle.close()
        assert store.prune(0) == [idle.key]
        assert len(contents(used)[2]) == 76
    assert store.prune(0) == [used.key]


def run(program: str, *arguments: object) -> subprocess.Popen[str]:
    head = (
        "import sys; from pathlib import Path\n"
        "from rumiai_ray.frames.store.store import FrameStore\n"
        "from rumiai_ray.frames.sampling import SamplingSpec\n"
        "from rumiai_ray.frames.limits import DecodeLimits\n"
        "from rumiai_ray.frames.store.files import sha256_of\n"
        "store = FrameStore(Path(sys.argv[1]), spec=SamplingSpec(fps=25), limits=DecodeLimits())\n"
    )
    return subprocess.Popen([sys.executable, "-c", head + program, *map(str, arguments)], stdout=subprocess.PIPE, text=True)


def test_two_processes_that_want_one_video_decode_it_once(store: FrameStore, clip: Path, tmp_path: Path) -> None:
    go = tmp_path / "go"
    program = (
        "import time\nprint('ready', flush=True)\n"
        "while not Path(sys.argv[3]).exists(): time.sleep(0.001)\n"
        "video = store.ensure(Path(sys.argv[2]), sha256_of(Path(sys.argv[2])))\n"
        "print(video.hit, sum(len(batch.jpegs) for batch in video.batches()))\n"
    )
    processes = [run(program, store.root, clip, go) for _ in range(2)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    go.touch()
    assert sorted(process.communicate()[0] for process in processes) == ["False 76\n", "True 76\n"]


def test_what_a_killed_extraction_leaves_is_never_read_and_swept(store: FrameStore, clip: Path) -> None:
    program = (
        "from rumiai_ray.frames.decode import parent as decode\n"
        "decode._DECODER = ('-c', 'import time; time.sleep(600)')\n"
        "store.ensure(Path(sys.argv[2]), sha256_of(Path(sys.argv[2])))\n"
    )
    process = run(program, store.root, clip)
    deadline = time.monotonic() + 30
    while not left_in_partial(store) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert left_in_partial(store)
    FrameStore(store.root, spec=SPEC, limits=DecodeLimits())
    assert left_in_partial(store), "an extraction under way was swept"
    process.kill()
    process.communicate()
    assert store.entries() == []
    deadline = time.monotonic() + 30
    while left_in_partial(store) and time.monotonic() < deadline:  # its decoder dies with it, a moment later, and holds the lock until then
        FrameStore(store.root, spec=SPEC, limits=DecodeLimits())
        time.sleep(0.01)
    assert left_in_partial(store) == []
    with store.ensure(clip, sha256_of(clip)) as video:
        assert not video.hit


def test_a_full_disk_is_told_and_leaves_nothing_half_done(store: FrameStore, clip: Path) -> None:
    program = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))\n"
        "try: store.ensure(Path(sys.argv[2]), sha256_of(Path(sys.argv[2])))\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    output, _ = run(program, store.root, clip).communicate()
    assert output.startswith("StorageError")
    assert "free space" in output
    assert left_in_partial(store) == []
    assert store.entries() == []
    with store.ensure(clip, sha256_of(clip)) as video:
        assert not video.hit


def test_a_place_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="another directory"):
        FrameStore(tmp_path / "file" / "store", spec=SPEC, limits=DecodeLimits())


def test_a_node_that_has_no_store_yet_makes_one_for_its_first_video(store: FrameStore, clip: Path) -> None:
    elsewhere = on_another_node(store)
    with elsewhere.ensure(clip, sha256_of(clip)) as first:
        expected = contents(first)
    with elsewhere.ensure(clip, sha256_of(clip)) as second:
        assert (first.origin, second.origin) == ("miss", "hit")
        assert contents(second) == expected
    assert elsewhere.verify() == [(first.key, None)]
    assert left_in_partial(elsewhere) == []


def test_a_node_that_has_no_store_yet_keeps_its_size_limit_from_the_first_video_on(tmp_path: Path, clip: Path) -> None:
    elsewhere = on_another_node(FrameStore(tmp_path / "store", spec=SPEC, limits=DecodeLimits(), max_bytes=1))
    with elsewhere.ensure(clip, sha256_of(clip)) as video:
        assert [entry.key for entry in elsewhere.entries()] == [video.key], "in use: it stays"
    assert elsewhere.prune(1) == [video.key]


def test_on_a_node_that_has_no_store_yet_nothing_is_listed_found_wrong_or_pruned(store: FrameStore) -> None:
    assert on_another_node(store).entries() == []
    assert on_another_node(store).verify() == []
    assert on_another_node(store).prune(0) == []
    with pytest.raises(StorageError, match="no such entry"):
        on_another_node(store).open("ab" * 32)


def test_a_stuck_lock_holder_is_named_instead_of_waited_for_for_ever(
    store: FrameStore, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "_GRACE_S", 0.0)
    impatient = FrameStore(store.root, spec=SPEC, limits=DecodeLimits(wall_s=0.3))
    with store.ensure(clip, sha256_of(clip)) as video:
        (directory_of(store, video) / "COMPLETE.json").unlink()
        with pytest.raises(StorageError, match="stuck process"):
            impatient.ensure(clip, sha256_of(clip))


def test_a_decoder_that_fails_half_way_commits_nothing(store: FrameStore, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dies_after_one_frame = (
        "import json, os, signal, sys; from rumiai_ray.frames.decode.wire import send\n"
        "pipe = os.fdopen(json.loads(sys.argv[1])['output_fd'], 'wb')\n"
        "send(pipe, {'kind': 'frame', 'source_frame': 0, 'time_s': 0.0, 'shown_until_s': 1.0, 'width_px': 2, 'height_px': 2}, bytes(12))\n"
        "os.kill(os.getpid(), signal.SIGSEGV)\n"
    )
    monkeypatch.setattr(decode_module, "_DECODER", ("-c", dies_after_one_frame))
    with pytest.raises(MediaError, match="SIGSEGV"):
        store.ensure(clip, sha256_of(clip))
    assert left_in_partial(store) == []
    assert store.entries() == []


def test_one_video_that_fills_the_disk_ends_alone_and_a_disk_that_others_fill_ends_the_run(
    store: FrameStore, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(store.root)
    free_bytes = 50_000

    def left(root: Path) -> Any:
        return usage._replace(free=free_bytes - sum(path.stat().st_size for path in root.rglob("*.parquet")))

    monkeypatch.setattr("rumiai_ray.frames.store.files.shutil.disk_usage", left)
    with pytest.raises(StorageError, match="0 MB are free, 1,024 MB must stay free"):
        store.ensure(clip, sha256_of(clip))
    small = FrameStore(store.root, spec=SPEC, limits=DecodeLimits(reserve_bytes=40_000))
    with pytest.raises(MediaError, match=r"clip\.mp4.*fill the frame store.*disk_reserve_mb"):
        small.ensure(clip, sha256_of(clip))
    assert not list(store.root.rglob("*.parquet")), "the space of what was given up is free again"
    free_bytes = 10**9
    small.ensure(clip, sha256_of(clip)).close()
