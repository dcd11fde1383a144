from __future__ import annotations

import errno
import os
import pickle
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from rumiai_ray.errors import ConfigError, StorageError
from rumiai_ray.storage import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

as_root = pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not hold root back")


@pytest.fixture(params=["directory", "memory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    match request.param:
        case "directory":
            return Store.at(tmp_path / "out")
        case "memory":
            return Store.at(f"memory://{uuid4().hex}")
        case _:
            return Store.at(f"{request.getfixturevalue('bucket')}/out")


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def refuse(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("rumiai_ray.storage.os.fsync", refuse)
    yield
    monkeypatch.undo()


def test_what_was_created_can_be_read_listed_and_removed(store: Store) -> None:
    store.create("a/b.json", b"1")
    store.create("a/c.json", b"2")
    assert store.read("a/b.json") == b"1"
    assert store.names("a") == ["b.json", "c.json"]
    assert store.below("a").names() == ["b.json", "c.json"]
    store.remove("a/b.json")
    assert store.read_or_none("a/b.json") is None
    assert not store.exists("a/b.json")


def test_a_file_that_exists_is_neither_overwritten_nor_touched(store: Store) -> None:
    store.create("x", b"first")
    with pytest.raises(FileExistsError):
        store.create("x", b"second")
    assert store.read("x") == b"first"


def test_of_many_that_publish_one_name_one_wins(store: Store) -> None:
    barrier, won = threading.Barrier(6), list[int]()

    def race(number: int) -> None:
        barrier.wait()
        with suppress(FileExistsError):
            store.publish("a/x", str(number).encode())
            won.append(number)

    threads = [threading.Thread(target=race, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [store.read("a/x")] == [str(number).encode() for number in won]
    assert store.names("a") == ["x"]


def test_a_view_may_be_replaced(store: Store) -> None:
    store.replace("summary.json", b"first")
    store.replace("summary.json", b"2")
    assert store.read("summary.json") == b"2"


def test_what_is_not_there_is_said_to_be_missing(store: Store) -> None:
    assert store.names("nowhere") == []
    assert store.read_or_none("nowhere/x") is None
    with pytest.raises(FileNotFoundError):
        store.read("x")


@pytest.mark.parametrize("store", ["directory", "memory"], indirect=True)
def test_what_is_not_there_cannot_be_removed(store: Store) -> None:
    with pytest.raises(FileNotFoundError):
        store.remove("x")


def test_a_store_crosses_process_borders(store: Store) -> None:
    store.create("x", b"1")
    assert pickle.loads(pickle.dumps(store)).read("x") == b"1"  # noqa: S301 -- pickled on the line itself


def test_addresses_are_plain_paths_on_a_disk_and_uris_elsewhere(tmp_path: Path) -> None:
    assert Store.at(tmp_path).uri("a/b") == str(tmp_path / "a" / "b")
    assert Store.at(tmp_path.as_uri()).uri("a") == str(tmp_path / "a")
    assert Store.at("memory://runs/").uri("a/b") == "memory:///runs/a/b"


def test_a_relative_path_is_taken_from_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Store.at("runs").create("x", b"1")
    assert (tmp_path / "runs" / "x").read_bytes() == b"1"


def test_names_that_look_like_patterns_are_only_names(tmp_path: Path) -> None:
    store = Store.at(tmp_path / "runs[1]*?")
    store.create("x", b"1")
    assert store.read("x") == b"1"
    assert store.names() == ["x"]


def test_an_unknown_kind_of_address_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="nosuch://bucket"):
        Store.at("nosuch://bucket/runs")


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_is_a_storage_error_and_leaves_no_torn_file(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(StorageError, match=r"a/x: cannot write the file: no space left \(free some space"):
        Store.at(tmp_path).create("a/x", b"1")
    assert not (tmp_path / "a" / "x").exists()


def test_a_directory_that_cannot_be_synced_is_a_storage_error_and_the_file_is_not_left_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").readlink().is_dir():
            raise OSError(errno.EIO, "Input/output error")

    (tmp_path / "a").mkdir()
    monkeypatch.setattr("rumiai_ray.storage.os.fsync", refuse)
    with pytest.raises(StorageError, match="a/x: cannot write the file"):
        Store.at(tmp_path).create("a/x", b"1")
    assert not (tmp_path / "a" / "x").exists()


@as_root
def test_a_directory_without_permission_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir(mode=0o500)
    with pytest.raises(StorageError, match="no permission"):
        Store.at(tmp_path / "a").create("x", b"1")


@pytest.mark.parametrize(("number", "words"), [(errno.EACCES, "no permission"), (errno.EROFS, "read-only"), (errno.EFBIG, "ulimit")])
def test_every_refusal_of_the_system_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(StorageError, match=words):
        Store.at(tmp_path).create("x", b"1")


def test_a_file_where_a_directory_is_needed_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("not a directory")
    with pytest.raises(StorageError, match="cannot write the file"):
        Store.at(tmp_path / "runs").create("x/y", b"1")
    assert Store.at(tmp_path / "runs").read_or_none("x") is None
