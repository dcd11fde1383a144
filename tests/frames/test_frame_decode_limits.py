"""Hangs, crashes, bombs and broken bytes: each ends as a typed error of that one video, in bounded time."""

from __future__ import annotations

import os
import resource
import struct
import subprocess
import sys
import time
import zlib
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from rumiai_ray.errors import MediaError, RumiaiError
from rumiai_ray.frames.decode import parent as decode_module
from rumiai_ray.frames.decode.parent import decode
from rumiai_ray.frames.limits import DecodeLimits
from rumiai_ray.frames.sampling import SamplingSpec
from rumiai_ray.frames.types import SourceFacts
from synthetic_clips import grid_times_s, make_clip

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LIMITS = DecodeLimits(wall_s=30, cpu_s=30)


def facts_of(path: Path, limits: DecodeLimits = LIMITS) -> SourceFacts:
    *_, facts = decode(path, SamplingSpec(), limits)
    assert isinstance(facts, SourceFacts)
    return facts


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", grid_times_s(10, 2), sound_from_to_s=[(0, 2)])


@pytest.fixture
def decoder_is(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a program of one's own in the decoder's place."""
    return lambda program: monkeypatch.setattr(decode_module, "_DECODER", ("-c", program))


def is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123 -- no path worth an object
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def dies(pid: int) -> bool:
    deadline = time.monotonic() + 10
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not is_alive(pid)


def test_a_hanging_decoder_and_its_children_are_killed_at_the_time_limit(
    clip: Path, tmp_path: Path, decoder_is: Callable[[str], None]
) -> None:
    pids = tmp_path / "pids"
    decoder_is(
        "import os, subprocess, time; child = subprocess.Popen(['sleep', '600']);"
        f"open({str(pids)!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}'); time.sleep(600)"
    )
    with pytest.raises(MediaError, match=r"clip\.mp4.*longer than 1\.5 s.*--limits-decode-timeout-s"):
        facts_of(clip, replace(LIMITS, wall_s=1.5))
    assert all(dies(int(pid)) for pid in pids.read_text().split())


def test_a_decoder_that_computes_for_ever_is_stopped_at_the_cpu_limit(clip: Path, decoder_is: Callable[[str], None]) -> None:
    decoder_is(
        "import os; from rumiai_ray.frames.limits import *; confine_this_process(DecodeLimits(cpu_s=1), os.getppid())\nwhile True: pass"
    )
    with pytest.raises(MediaError, match=r"clip\.mp4.*1 s of CPU.*--limits-decode-timeout-s"):
        facts_of(clip, replace(LIMITS, cpu_s=1))


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGBUS", "SIGKILL"])
def test_a_crash_is_named_after_its_signal(clip: Path, decoder_is: Callable[[str], None], name: str) -> None:
    decoder_is(f"import os, signal; os.kill(os.getpid(), signal.{name})")
    with pytest.raises(MediaError, match=rf"clip\.mp4.*{name}"):
        facts_of(clip)


def saying(header: str) -> str:
    return (
        "import json, os, sys; from rumiai_ray.frames.decode.wire import send\n"
        f"send(os.fdopen(json.loads(sys.argv[1])['output_fd'], 'wb'), {header}, b'xyz')"
    )


@pytest.mark.parametrize(
    "program",
    [
        "pass",
        "import os, json, sys; os.write(json.loads(sys.argv[1])['output_fd'], b'\\xff' * 99)",
        saying("{}"),
        saying("{'kind': 'frame', 'width_px': 1000, 'height_px': 1000}"),
        saying("{'kind': 'done', 'facts': {}}"),
        saying("{'kind': 'thumbnails', 'time_s': 3, 'width_px': 1, 'height_px': 1}"),
    ],
)
def test_a_decoder_that_says_nothing_or_nonsense_is_an_error_too(clip: Path, decoder_is: Callable[[str], None], program: str) -> None:
    decoder_is(program)
    with pytest.raises(MediaError, match=r"clip\.mp4"):
        facts_of(clip)


def repeating(header: str, payload: str, times: int) -> str:
    return (
        "import json, os, sys; from rumiai_ray.frames.decode.wire import send\n"
        "pipe = os.fdopen(json.loads(sys.argv[1])['output_fd'], 'wb')\n"
        f"for _ in range({times}): send(pipe, {header}, {payload})"
    )


FRAME = "{'kind': 'frame', 'source_frame': 0, 'time_s': 0, 'shown_until_s': 1, 'width_px': 8, 'height_px': 8}"
THUMBNAILS = "{'kind': 'thumbnails', 'time_s': [0, 0, 0, 0], 'width_px': 1, 'height_px': 1}"


@pytest.mark.parametrize(
    "program",
    [
        repeating(FRAME, "bytes(192)", 1000),
        repeating(THUMBNAILS, "bytes(12)", 1000),
        repeating("{'kind': 'sound'}", "bytes(64_000)", 1000),
        repeating("{'kind': 'thumbnails', 'time_s': [0], 'width_px': 1, 'height_px': 1}", "bytes(200_000_001)", 1),
        repeating(
            "{'kind': 'frame', 'source_frame': 0, 'time_s': 0, 'shown_until_s': 1, 'width_px': 9_000, 'height_px': 9_000}",
            "bytes(243_000_000)",
            1,
        ),
        repeating("{'kind': 'frame', 'source_frame': 0, 'time_s': 0, 'shown_until_s': 1, 'width_px': 0, 'height_px': 0}", "b''", 1),
        repeating(
            "{'kind': 'frame', 'source_frame': 0, 'time_s': 0, 'shown_until_s': 1, 'width_px': True, 'height_px': 8}", "bytes(24)", 1
        ),
    ],
    ids=[
        "frames without end",
        "thumbnails without end",
        "sound without end",
        "67 million thumbnails",
        "a frame too large",
        "no pixel",
        "true",
    ],
)
def test_a_decoder_that_was_taken_over_is_not_listened_to_for_longer_than_an_honest_one(
    clip: Path, decoder_is: Callable[[str], None], program: str
) -> None:
    decoder_is(program)
    pieces: list[object] = []
    limits = replace(LIMITS, max_frames=100, max_duration_s=30)
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(MediaError, match=r"clip\.mp4.*invalid message"):
        pieces.extend(decode(clip, SamplingSpec(), limits))
    assert len(pieces) <= limits.max_frames + 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 2**20, "one message is held twice at most"


def test_a_memory_limit_is_named(clip: Path) -> None:
    with pytest.raises(MediaError, match=r"clip\.mp4.*150 MB.*--limits-decode-memory-mb"):
        facts_of(clip, replace(LIMITS, memory_bytes=150 * 2**20))


def test_a_picture_bomb_is_refused_before_it_goes_off(tmp_path: Path) -> None:
    side = 15_360
    rows = zlib.compress(bytes((side // 8 + 1) * side), 9)

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    path = tmp_path / "bomb.png"
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", rows) + chunk(b"IEND", b""))
    assert path.stat().st_size < 100_000
    with pytest.raises(MediaError, match=r"bomb\.png.*15360×15360.*--limits-max-pixels"):
        facts_of(path)


def test_each_limit_names_the_file_itself_and_its_setting(clip: Path, tmp_path: Path) -> None:
    endless = make_clip(tmp_path / "endless.mp4", [0.0, 2 * 3600.0])
    cases = [
        (endless, LIMITS, r"endless\.mp4.*1800 s.*--limits-max-duration-s"),
        (clip, replace(LIMITS, max_duration_s=1.5), r"clip\.mp4.*1\.5 s.*--limits-max-duration-s"),
        (clip, replace(LIMITS, max_frames=10), r"clip\.mp4.*10 frames.*--limits-max-frames"),
        (clip, replace(LIMITS, max_pixels=1000), r"clip\.mp4.*1000 pixels.*--limits-max-pixels"),
        (clip, replace(LIMITS, max_file_bytes=1024), r"clip\.mp4.*size.*--limits-max-input-mb"),
    ]
    for path, limits, message in cases:
        with pytest.raises(MediaError, match=message):
            facts_of(path, limits)


def test_a_reader_who_stops_in_the_middle_leaves_no_process_behind(tmp_path: Path) -> None:
    long = make_clip(tmp_path / "long.mp4", [number / 25 for number in range(1500)])  # more than a pipe holds
    pieces = decode(long, SamplingSpec(), LIMITS)
    next(pieces)
    children = subprocess.run(["pgrep", "-P", str(os.getpid()), "-f", "frames.decode.child"], capture_output=True, text=True, check=True)  # noqa: S607 -- procps
    pieces.close()
    assert children.stdout.split()
    assert all(dies(int(pid)) for pid in children.stdout.split())


def test_the_decoder_dies_with_its_parent(tmp_path: Path) -> None:
    program = (
        "import os, sys; from rumiai_ray.frames.limits import *\n"
        "if os.fork() == 0:\n"
        "    confine_this_process(DecodeLimits(), os.getppid()); print(os.getpid(), flush=True)\n"
        "    import time; time.sleep(600)\n"
        "sys.stdin.read()"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert is_alive(child)
    parent.kill()
    parent.communicate()
    assert dies(child)


def mutations(data: bytes) -> dict[str, bytes]:
    random = np.random.default_rng(7)
    found = {f"first {percent} %": data[: len(data) * percent // 100] for percent in (1, 20, 50, 80, 99)}
    for seed in range(3):
        start = int(random.integers(0, len(data) - 200))
        found[f"zeros at {start} ({seed})"] = data[:start] + bytes(200) + data[start + 200 :]
        flipped = bytearray(data)
        for at in random.integers(0, len(data), 20 * (seed + 1)):
            flipped[at] ^= 1 << int(random.integers(8))
        found[f"flipped bits ({seed})"] = bytes(flipped)
        # structure lies in the boxes' heads, not in the pictures: hit it more often than chance would
        structure = bytearray(data)
        head = data.find(b"moov") if b"moov" in data else 0
        for at in random.integers(head, min(len(data), head + 1500), 4):
            structure[at] = int(random.integers(256))
        found[f"broken structure ({seed})"] = bytes(structure)
    return found


@pytest.mark.parametrize("container", ["mp4", "matroska"])
def test_broken_bytes_end_in_facts_or_in_a_typed_error(tmp_path: Path, container: str) -> None:
    whole = make_clip(tmp_path / "whole", grid_times_s(10, 2), sound_from_to_s=[(0, 2)], container=container)
    outcomes = []
    for name, data in mutations(whole.read_bytes()).items():
        path = tmp_path / "broken"
        path.write_bytes(data)
        outcomes.append((name, outcome(path)))
    assert [(name, what) for name, what in outcomes if not what.startswith(("decoded ", "MediaError "))] == []
    assert [(name, what) for name, what in outcomes if "crashed" in what or "failed" in what] == []
    assert sum(what.startswith("decoded ") for _, what in outcomes) >= 2


def outcome(path: Path) -> str:
    try:
        facts = facts_of(path, replace(LIMITS, wall_s=20))
    except RumiaiError as error:
        return f"{type(error).__name__} {error}"
    return f"decoded {facts.frames_decoded}" if facts.frames_decoded else "nothing decoded and no error"


def test_decoding_leaks_no_descriptors(clip: Path) -> None:
    def open_descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 -- counted, not used

    facts_of(clip)
    before = open_descriptors()
    for _ in range(3):
        with suppress(MediaError):
            facts_of(clip, replace(LIMITS, max_frames=5))
    assert open_descriptors() == before
