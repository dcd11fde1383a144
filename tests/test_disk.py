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
