"""`jobs/prefetch.py`, run as its user runs it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from numbered_clips import numbered_clip

PREFETCH = Path(__file__).resolve().parents[2] / "jobs" / "prefetch.py"


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Three entries, two of them the same video under two ids."""
    numbered_clip(tmp_path / "one.mkv", 1)
    numbered_clip(tmp_path / "two.mkv", 2)
    path = tmp_path / "videos.csv"
    path.write_text(f"id,input\na,{tmp_path}/one.mkv\nb,{tmp_path}/two.mkv\nc,{tmp_path}/one.mkv\n")
    return path


def prefetch(manifest: Path, *options: str, node: str = "store") -> subprocess.CompletedProcess[str]:
    store = manifest.parent / node
    command = [sys.executable, str(PREFETCH), "--manifest", str(manifest), "--store", str(store), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=manifest.parent)


def test_every_video_is_decoded_once_and_found_by_the_next_time(manifest: Path) -> None:
    first, second = prefetch(manifest, "--at-once", "2"), prefetch(manifest)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert first.stdout.startswith("3 entries: 2 decoded, 1 there already, 0 failed; 2 videos in ")
    assert second.stdout.startswith("3 entries: 0 decoded, 3 there already, 0 failed; 2 videos in ")


def test_other_sampling_is_another_entry(manifest: Path) -> None:
    prefetch(manifest)
    again = prefetch(manifest, "--sampling-fps", "2")
    assert again.stdout.startswith("3 entries: 2 decoded, ")


def test_what_cannot_be_read_is_named_and_the_rest_is_stored(manifest: Path) -> None:
    (manifest.parent / "text.mp4").write_text("no video")
    with manifest.open("a") as stream:
        stream.write(f"d,{manifest.parent}/text.mp4\ne,{manifest.parent}/missing.mp4\n")
    ended = prefetch(manifest)
    assert ended.returncode == 1
    assert ended.stdout.startswith("5 entries: 2 decoded, 1 there already, 2 failed; 2 videos in ")
    told = ended.stderr.splitlines()
    assert [line.split(":")[0] for line in told] == ["d", "e"]
    assert "text.mp4" in told[0]
    assert "missing.mp4" in told[1]


def test_a_store_too_small_for_the_manifest_is_not_called_filled(manifest: Path) -> None:
    ended = prefetch(manifest, "--store-max-gb", "1e-6")
    assert ended.returncode == 1
    assert "evicted again" in ended.stderr


def test_one_node_fills_the_shared_store_for_all(manifest: Path) -> None:
    shared = manifest.parent / "shared"
    shared.mkdir()
    alone = prefetch(manifest)
    sharing = [prefetch(manifest, "--store-remote", str(shared), node=node) for node in ("store", "another")]
    assert [ended.returncode for ended in (alone, *sharing)] == [0, 0, 0], [ended.stderr for ended in sharing]
    assert sharing[0].stdout.startswith("3 entries: 0 decoded, 0 fetched, 3 there already, 0 failed; 2 videos in ")
    assert sharing[1].stdout.startswith("3 entries: 0 decoded, 2 fetched, 1 there already, 0 failed; 2 videos in ")
    assert [ended.stdout.endswith(f", 2 in {shared}\n") for ended in sharing] == [True, True]


def test_a_shared_store_that_cannot_take_a_video_is_not_called_filled(manifest: Path) -> None:
    shared = manifest.parent / "shared"
    shared.mkdir()
    prefetch(manifest, "--store-remote", str(shared))
    for shard in shared.iterdir():
        shutil.rmtree(shard)
        shard.touch()  # where the next upload needs a directory
    ended = prefetch(manifest, "--store-remote", str(shared))
    assert ended.returncode == 1
    assert ended.stdout.endswith(f"2 videos in {manifest.parent}/store, 0 in {shared}\n")
    assert f"2 videos could not be uploaded to {shared}" in ended.stderr


def test_a_shared_store_that_is_not_there_is_wrong_usage(manifest: Path) -> None:
    ended = prefetch(manifest, "--store-remote", str(manifest.parent / "not mounted"))
    assert ended.returncode == 2
    assert "not mounted: no such directory" in ended.stderr
    assert ended.stdout == ""


def test_a_manifest_that_is_not_there_is_wrong_usage(manifest: Path) -> None:
    ended = prefetch(manifest.parent / "none.csv")
    assert ended.returncode == 2
    assert "none.csv" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (manifest.parent / "store").exists()
