"""`jobs/prefetch.py`, run as its user runs it."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from numbered_clips import numbered_clip
from rumiai_ray.ingest.entries import read_manifest
from rumiai_ray.ingest.refused_entries import RefusedEntries
from rumiai_ray.shown import terminal_safe

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    assert first.stdout.startswith("3 entries: 2 decoded, 1 already stored, 0 failed; 2 videos in ")
    assert second.stdout.startswith("3 entries: 0 decoded, 3 already stored, 0 failed; 2 videos in ")


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
    assert ended.stdout.startswith("5 entries: 2 decoded, 1 already stored, 2 failed; 2 videos in ")
    told = ended.stderr.splitlines()
    assert [line.split(":")[0] for line in told] == ["d", "e"]
    assert "text.mp4" in told[0]
    assert "missing.mp4" in told[1]


def test_a_name_that_a_terminal_would_obey_is_printed_and_not_obeyed(tmp_path: Path) -> None:
    listed = tmp_path / "videos.txt"
    listed.write_text("nope\x1b]0;pwned\x07\x1b[31mRED.mp4\n\u202egpj.mp4\n")
    ended = prefetch(listed)
    assert ended.returncode == 1
    assert terminal_safe(ended.stderr) == ended.stderr
    assert "RED.mp4" in ended.stderr
    unreadable = prefetch(tmp_path / "none\x1b[31m.csv")
    assert unreadable.returncode == 2
    assert terminal_safe(unreadable.stderr) == unreadable.stderr


def test_a_store_too_small_for_the_manifest_is_not_called_filled(manifest: Path) -> None:
    ended = prefetch(manifest, "--store-max-gb", "1e-6")
    assert ended.returncode == 1
    assert "; 1 video in " in ended.stdout
    assert ended.stderr.startswith("1 video was evicted again: ")
    manifest.write_text(f"id,input\na,{manifest.parent}/one.mkv\n")
    assert prefetch(manifest, node="another").stdout.startswith("1 entry: 1 decoded, 0 already stored, 0 failed; 1 video in ")


def test_one_node_fills_the_shared_store_for_all(manifest: Path) -> None:
    shared = manifest.parent / "shared"
    shared.mkdir()
    alone = prefetch(manifest)
    sharing = [prefetch(manifest, "--store-remote", str(shared), node=node) for node in ("store", "another")]
    assert [ended.returncode for ended in (alone, *sharing)] == [0, 0, 0], [ended.stderr for ended in sharing]
    assert sharing[0].stdout.startswith("3 entries: 0 decoded, 0 fetched, 3 already stored, 0 failed; 2 videos in ")
    assert sharing[1].stdout.startswith("3 entries: 0 decoded, 2 fetched, 1 already stored, 0 failed; 2 videos in ")
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


class Host(ThreadingHTTPServer):
    """Serves one clip, whatever is asked for, until it has had enough."""

    daemon_threads = True

    def __init__(self, body: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.body = body
        self.refuses = False
        self.refused_path = ""
        """The one path that is refused where the others are served."""
        self.refused_from = 10**6
        """Paths of this number and higher ones are refused."""
        self.gone = False
        self.retry_after_s: int | None = None
        self.takes_s = 0.0
        self.pair: threading.Barrier | None = None
        """Where two downloads wait for each other."""
        self.asked: list[str] = []
        self.most = 0
        """Most downloads at a time."""
        self.now = 0
        self.lock = threading.Lock()


class _Answer(BaseHTTPRequestHandler):
    server: Host

    def do_GET(self) -> None:
        host = self.server
        with host.lock:
            host.asked.append(self.path)
            host.now += 1
            host.most = max(host.most, host.now)
        if host.pair is not None:
            host.pair.wait(60)
        time.sleep(host.takes_s)
        refuses = host.refuses or self.path == host.refused_path or int(self.path.strip("/").partition(".")[0]) >= host.refused_from
        self.send_response(429 if refuses else 404 if host.gone else 200)
        if refuses and host.retry_after_s is not None:
            self.send_header("Retry-After", str(host.retry_after_s))
        self.send_header("Content-Length", str(0 if refuses else len(host.body)))
        self.end_headers()
        if not refuses:
            self.wfile.write(host.body)
        with host.lock:
            host.now -= 1

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    numbered_clip(tmp_path / "served.mkv", 7)
    server = Host((tmp_path / "served.mkv").read_bytes())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


def served(manifest: Path, host: Host, count: int) -> Path:
    """The manifest, and behind its rows `count` more, of files of `host`."""
    with manifest.open("a") as stream:
        stream.writelines(f"w{number},http://127.0.0.1:{host.server_port}/{number}.mkv\n" for number in range(count))
    return manifest


def test_no_more_download_from_one_host_at_a_time_than_the_limits_say(manifest: Path, host: Host) -> None:
    host.pair, host.takes_s = threading.Barrier(2), 0.2
    ended = prefetch(served(manifest, host, 6), "--at-once", "6", "--limits-private-hosts", "--limits-host-downloads", "2")
    assert ended.returncode == 0, ended.stderr
    assert (len(host.asked), host.most) == (6, 2)


def test_a_host_that_asks_to_be_left_alone_is_and_the_same_command_goes_on(manifest: Path, host: Host) -> None:
    host.refuses, host.retry_after_s = True, 3600
    refused = prefetch(served(manifest, host, 5), "--limits-private-hosts")
    assert refused.returncode == 1
    assert refused.stdout.startswith("8 entries: 2 decoded, 1 already stored, 0 failed, 5 left undone; 2 videos in ")
    assert host.asked == ["/0.mkv"], "after its first word nobody asks again"
    (told,) = refused.stderr.splitlines()
    assert told.startswith("127.0.0.1 refuses: ")
    assert "run the same command after 20" in told

    host.refuses = False
    again = prefetch(manifest, "--limits-private-hosts")
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout.startswith("8 entries: 1 decoded, 7 already stored, 0 failed; 3 videos in ")


def test_a_video_that_is_always_refused_does_not_keep_its_host_from_being_asked_for_the_others(tmp_path: Path, host: Host) -> None:
    host.refused_path, host.retry_after_s = "/0.mkv", 3600
    listed = tmp_path / "videos.csv"
    listed.write_text("id,input\n")
    served(listed, host, 3)
    first = prefetch(listed, "--limits-private-hosts")
    assert ", 0 failed, 3 left undone; " in first.stdout, first.stdout + first.stderr
    (kept,) = (tmp_path / "store").glob(".refused-*.json")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert "127.0.0.1" not in kept.read_text()

    early = prefetch(listed, "--limits-private-hosts")
    assert ", 0 failed, 3 left undone; " in early.stdout, "its pause is not over"

    kept.write_text(json.dumps(dict.fromkeys(json.loads(kept.read_text()), 1)))  # hours later
    host.asked.clear()
    later = prefetch(listed, "--limits-private-hosts")
    assert later.returncode == 1
    assert later.stdout.startswith("3 entries: 1 decoded, 1 already stored, 1 failed; 1 video in "), later.stdout + later.stderr
    assert {"/1.mkv", "/2.mkv"} < set(host.asked)

    host.refused_path = ""
    assert prefetch(listed, "--limits-private-hosts").returncode == 0
    assert json.loads(kept.read_text()) == {}


def remember(listed: Path, host: Host) -> Path:
    """Have the store remember that every row of a manifest was refused, and that the pause is over; the host goes on refusing."""
    host.refuses, host.retry_after_s = True, 3600
    kept = listed.parent / "store" / f".refused-{os.getuid()}.json"
    before = RefusedEntries(kept)
    for number, entry in enumerate(read_manifest(str(listed))):
        before.refused(entry, number)
    before.save()
    return kept


def test_a_host_that_refuses_everything_again_is_left_alone_although_every_video_was_refused_before(tmp_path: Path, host: Host) -> None:
    listed = tmp_path / "videos.csv"
    listed.write_text("id,input\n")
    remember(served(listed, host, 9), host)
    refused = prefetch(listed, "--limits-private-hosts", "--limits-host-refusals", "3")
    assert ", 2 failed, 7 left undone; " in refused.stdout, refused.stdout + refused.stderr
    assert host.asked == ["/0.mkv", "/1.mkv", "/2.mkv"]
    host.asked.clear()
    prefetch(listed, "--limits-private-hosts", "--limits-host-refusals", "3")
    assert host.asked == ["/2.mkv", "/3.mkv", "/4.mkv"], "those that have failed by themselves do not keep the others from being asked for"


def test_however_many_videos_are_refused_the_others_are_asked_for_first(tmp_path: Path, host: Host) -> None:
    listed = tmp_path / "videos.csv"
    listed.write_text("id,input\n")
    served(listed, host, 5)
    remember(listed, host)
    rows = listed.read_text().splitlines()
    host.refuses, host.refused_from = False, 1
    listed.write_text("\n".join([*rows, f"other,http://127.0.0.1:{host.server_port}/0.mkv"]) + "\n")
    ended = prefetch(listed, "--limits-private-hosts", "--limits-host-refusals", "2")
    assert host.asked[0] == "/0.mkv"
    assert ended.stdout.startswith("6 entries: 1 decoded, 1 already stored, 1 failed, 3 left undone; "), ended.stdout + ended.stderr


def test_a_video_that_its_host_answers_for_is_no_longer_known_as_refused(tmp_path: Path, host: Host) -> None:
    listed = tmp_path / "videos.csv"
    listed.write_text("id,input\n")
    kept = remember(served(listed, host, 3), host)
    assert len(json.loads(kept.read_text())) == 3
    host.refuses, host.gone = False, True
    assert ", 3 failed; " in prefetch(listed, "--limits-private-hosts").stdout
    assert json.loads(kept.read_text()) == {}, "the host has said that they are gone"


def test_refusals_in_a_row_end_the_asking(manifest: Path, host: Host) -> None:
    host.refuses = True
    refused = prefetch(served(manifest, host, 9), "--limits-private-hosts", "--limits-host-refusals", "2")
    assert refused.returncode == 1
    assert ", 1 failed, 8 left undone; " in refused.stdout
    assert host.asked == ["/0.mkv"] * 3 + ["/1.mkv"], "the attempts of one row are one refusal"
