"""Reading a file of this machine's disk that somebody else may have put there."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rumiai_ray import disk

if TYPE_CHECKING:
    from collections.abc import Callable


def a_file(path: Path) -> None:
    path.write_bytes(b"12345")


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_link(path: Path) -> None:
    a_file(path.with_name("target"))
    path.symlink_to("target")


def an_endless_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def test_a_regular_file_is_read_up_to_the_bytes_that_are_allowed(tmp_path: Path) -> None:
    a_file(tmp_path / "f")
    assert [disk.read(tmp_path / "f", most=most, follow=False) for most in (None, 6, 5)] == [b"12345"] * 3
    with pytest.raises(OSError, match="more than 4 bytes") as refused:
        disk.read(tmp_path / "f", most=4)
    assert refused.value.errno == errno.EFBIG


@pytest.mark.parametrize(
    ("make", "number"), [(Path.mkdir, errno.EISDIR), (a_pipe, errno.EINVAL), (an_endless_device, errno.EINVAL), (a_link, errno.ELOOP)]
)
def test_what_is_no_regular_file_is_refused_by_name_and_left_closed(tmp_path: Path, make: Callable[[Path], None], number: int) -> None:
    make(tmp_path / "file")
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(OSError, match=f"{tmp_path}/file") as refused:
        disk.read(tmp_path / "file", follow=make is not a_link)
    assert refused.value.errno == number
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_link_is_followed_unless_it_is_not_to_be(tmp_path: Path) -> None:
    a_link(tmp_path / "f")
    assert disk.read(tmp_path / "f") == b"12345"


def test_a_tree_is_removed_as_far_as_possible_and_what_stays_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tree = tmp_path / "tree"
    (tree / "below").mkdir(parents=True)
    for name in ("held", "free", "below/free"):
        (tree / name).touch()
    unlink = os.unlink

    def refusing(path: str, **options: int) -> None:
        if Path(path).name == "held":
            raise PermissionError(errno.EPERM, "Operation not permitted", path)
        unlink(path, **options)

    with caplog.at_level("DEBUG", "rumiai_ray"):
        with monkeypatch.context() as busy:
            busy.setattr(os, "unlink", refusing)
            disk.remove_tree(tree)
        assert [path.name for path in tree.rglob("*")] == ["held"]
        assert "held is not removed" in caplog.text
        assert "Operation not permitted" in caplog.text
        caplog.clear()
        disk.remove_tree(tree)
        disk.remove_tree(tree)
    assert not tree.exists()
    assert caplog.text == "", "a directory that is not there is no news"
