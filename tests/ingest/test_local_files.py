from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from rumiai_ray.errors import InputError, MediaError, StorageError
from rumiai_ray.ingest.entries import Entry, entries_from_inputs
from rumiai_ray.ingest.fetch import FetchLimits, fetch

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from rumiai_ray.ingest.fetch import FetchedVideo

    Got = Callable[..., AbstractContextManager[FetchedVideo]]

NAMES = ["a b.mp4", 'it\'s "quoted".mp4', "-rf.mp4", "🎬.mp4", "two\nlines.mp4", "日本語.mp4", "100%25.mp4", "a#b?c.mp4", "~.mp4", "noext"]


@pytest.mark.parametrize("name", NAMES)
def test_a_local_file_is_used_in_place_whatever_its_name(tmp_path: Path, got: Got, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / name).write_bytes(b"film")
    monkeypatch.chdir(tmp_path)
    for text in (name, str(tmp_path / name), (tmp_path / name).as_uri()):
        with got(text) as video:
            assert video.path == tmp_path / name
            assert (video.video_key, video.size_bytes) == (hashlib.sha256(b"film").hexdigest(), 4)
            assert video.source_url is None
            assert video.metadata.hashtags is None
    assert (tmp_path / name).exists()


def test_a_real_clip_has_its_known_digest(media: Path, got: Got) -> None:
    clip = "d_emotion/pyfeat_sad_to_happy_pexels.mp4"
    with got(str(media / clip)) as video:
        assert video.video_key == "c048a3025af89148424af1ed2371cddee49af92c911d94da13989706d04baf3f"
        assert video.size_bytes == 1632292


def test_an_entry_without_a_location_is_found_by_its_input(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"film")
    with fetch(Entry("a", str(tmp_path / "a.mp4")), FetchLimits(), tmp_path) as video:
        assert video.size_bytes == 4


def test_symbolic_links_are_followed(tmp_path: Path, got: Got) -> None:
    (tmp_path / "film.mp4").write_bytes(b"film")
    (tmp_path / "link.mp4").symlink_to("film.mp4")
    with got(str(tmp_path / "link.mp4")) as video:
        assert video.size_bytes == 4


def _make(kind: str, path: Path) -> None:
    match kind:
        case "fifo":
            os.mkfifo(path)
        case "directory":
            path.mkdir()
        case "dangling":
            path.symlink_to("nowhere")
        case "circle":
            path.symlink_to(path)
        case "fifo link":
            os.mkfifo(path.with_name("pipe"))
            path.symlink_to("pipe")


@pytest.mark.parametrize(
    ("kind", "complaint"),
    [
        ("missing", "no such file"),
        ("fifo", "named pipe"),
        ("fifo link", "named pipe"),
        ("directory", "a directory"),
        ("dangling", "symbolic link to a file that does not exist"),
        ("circle", "circle"),
    ],
)
def test_what_is_no_file_is_refused_without_hanging(tmp_path: Path, got: Got, kind: str, complaint: str) -> None:
    path = tmp_path / "input.mp4"
    _make(kind, path)
    with pytest.raises(InputError, match=complaint) as caught, got(str(path)):
        pass
    assert str(path) in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("/dev/null", "device"), ("/dev/zero", "device"), ("/etc/hostname/x.mp4", "not a directory"), (f"/{'x' * 300}", "longer")],
)
def test_devices_and_impossible_paths_are_refused(got: Got, text: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint), got(text):
        pass


def test_an_empty_file_and_a_large_one_are_media_errors(tmp_path: Path, got: Got) -> None:
    path = tmp_path / "a.mp4"
    path.touch()
    with pytest.raises(MediaError, match="file is empty"), got(str(path)):
        pass
    path.write_bytes(b"12345")
    with pytest.raises(MediaError, match="larger than"), got(str(path), FetchLimits(max_bytes=4)):
        pass
    with got(str(path), FetchLimits(max_bytes=5)) as video:
        assert video.size_bytes == 5


def test_an_unreadable_file_says_so(tmp_path: Path) -> None:
    secret = tmp_path / "a.mp4"
    secret.write_bytes(b"film")
    secret.chmod(0)
    for folder in (tmp_path, *tmp_path.parents[:-2]):
        folder.chmod(0o755)
    program = textwrap.dedent(
        """
        import os, sys, pathlib
        from rumiai_ray.errors import InputError
        from rumiai_ray.ingest.entries import Entry
        from rumiai_ray.ingest.fetch import FetchLimits, fetch
        if os.getuid() == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        try:
            with fetch(Entry("a", sys.argv[1]), FetchLimits(), pathlib.Path("/")):
                print("read it")
        except InputError as error:
            print(error)
        """
    )
    ran = subprocess.run([sys.executable, "-c", program, secret], capture_output=True, text=True, check=True)
    assert "no permission to read the file" in ran.stdout
    assert str(secret) in ran.stdout


def test_a_work_directory_that_is_not_there_is_a_storage_error(tmp_path: Path) -> None:
    entry = entries_from_inputs(["http://127.0.0.1:1/a.mp4"])[0]
    with pytest.raises(StorageError, match="cannot be written"), fetch(entry, FetchLimits(), tmp_path / "none"):
        pass
