from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import TYPE_CHECKING, ClassVar

import pytest

from rumiai_ray.errors import WeightsError
from rumiai_ray.models.weights import http as _http
from rumiai_ray.models.weights.fetch import Terms, fetch_candidates
from rumiai_ray.models.weights.files import Candidate, HubSource, UrlSource, WeightFile
from rumiai_ray.models.weights.pins import Pin, WrongDigestError, pin, pinned

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rumiai_ray.models.weights.files import WeightSource

COMMIT = "c0ffee" + "0" * 34


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Server(BaseHTTPRequestHandler):
    """One file at every address; breaks each answer off after `cut` bytes, and honours ranges of the same ETag."""

    content: ClassVar[bytes] = b""
    etag: ClassVar[str] = ""
    cut: ClassVar[int | None] = None
    redirects: ClassVar[bool] = False
    ranges: ClassVar[list[str | None]] = []
    paths: ClassVar[list[str]] = []
    together: ClassVar[threading.Barrier | None] = None
    """Where set, the first request of each client is answered only when as many clients have asked."""
    second: ClassVar[bytes | None] = None
    """Where set, the content for every client after the first."""

    def do_GET(self) -> None:
        self.paths.append(self.path)
        if self.together is not None and "/resolve/" in self.path:
            turn = self.together.wait(20)
            if turn and self.second is not None:
                self.send_response(200)
                self.send_header("X-Repo-Commit", COMMIT)
                self.send_header("Content-Length", str(len(self.second)))
                self.end_headers()
                self.wfile.write(self.second)
                return
        if self.redirects and "/resolve/" in self.path:
            self.send_response(302)
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Location", "/cdn/blob")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        asked = self.headers.get("Range")
        self.ranges.append(asked)
        start = 0
        if asked and self.headers.get("If-Range") == self.etag:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
        if start and start >= len(self.content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(self.content) - 1}/{len(self.content)}")
        body = self.content[start:]
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", self.etag)
        self.end_headers()
        self.wfile.write(body if self.cut is None else body[: self.cut])

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    Server.content, Server.etag, Server.cut, Server.redirects = b"0123456789" * 500, '"one"', None, False
    Server.together = Server.second = None
    Server.ranges.clear()
    Server.paths.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


def get(
    directory: Path, source: WeightSource, *, path: str = "net/model.bin", sha256: str | None = None, accepted: bool = True
) -> list[str]:
    """Fetch one file; returns what was said."""
    said: list[str] = []
    file = WeightFile("net", path, sha256, "CC BY-NC", ((source,),), noncommercial=True)
    fetch_candidates([Candidate("lib/net", "numpy", (file,), ("standard",))], "standard", directory, said.append, (), Terms(accepted))
    return said


def test_a_connection_that_breaks_is_made_again_from_where_it_was_cut(server: str, tmp_path: Path) -> None:
    Server.cut = 2000
    get(tmp_path / "w", UrlSource(f"{server}/file"), sha256=digest(Server.content))
    assert (tmp_path / "w/net/model.bin").read_bytes() == Server.content
    assert Server.ranges == [None, "bytes=2000-", "bytes=4000-"]
    assert [path.name for path in (tmp_path / "w").iterdir()] == ["net"]


def test_a_download_goes_on_in_the_next_process(server: str, tmp_path: Path) -> None:
    address = UrlSource(f"{server}/file")
    with _http.place_for(address.url, tmp_path, tmp_path / "scratch") as path:
        path.write_bytes(Server.content[:1234])
        path.with_suffix(".etag").write_text(Server.etag)
    get(tmp_path, address, sha256=digest(Server.content))
    assert (tmp_path / "net/model.bin").read_bytes() == Server.content
    assert Server.ranges == ["bytes=1234-"]


@pytest.mark.parametrize("etag", ['"two"', 'W/"one"', ""])
def test_a_file_that_has_changed_at_its_source_is_fetched_from_its_beginning(server: str, tmp_path: Path, etag: str) -> None:
    address = UrlSource(f"{server}/file")
    with _http.place_for(address.url, tmp_path, tmp_path / "scratch") as path:
        path.write_bytes(b"x" * 1234)
        path.with_suffix(".etag").write_text(etag)
    get(tmp_path, address, sha256=digest(Server.content))
    assert (tmp_path / "net/model.bin").read_bytes() == Server.content


def test_a_beginning_that_was_damaged_meanwhile_is_fetched_again(server: str, tmp_path: Path) -> None:
    address = UrlSource(f"{server}/file")
    with _http.place_for(address.url, tmp_path, tmp_path / "scratch") as path:
        path.write_bytes(b"x" * 1234)
        path.with_suffix(".etag").write_text(Server.etag)
    get(tmp_path, address, sha256=digest(Server.content))
    assert (tmp_path / "net/model.bin").read_bytes() == Server.content
    assert Server.ranges == ["bytes=1234-", None]


def test_a_beginning_that_is_longer_than_the_file_is_fetched_again(server: str, tmp_path: Path) -> None:
    address = UrlSource(f"{server}/file")
    with _http.place_for(address.url, tmp_path, tmp_path / "scratch") as path:
        path.write_bytes(Server.content + b"more")
        path.with_suffix(".etag").write_text(Server.etag)
    get(tmp_path, address, sha256=digest(Server.content))
    assert (tmp_path / "net/model.bin").read_bytes() == Server.content


def test_a_disk_without_room_is_noticed_before_the_download(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(WeightsError, match=r"needs 67 MB of disk, 0 MB are free"):
        get(tmp_path, UrlSource(f"{server}/file"), sha256=digest(Server.content))
    assert not (tmp_path / "net").exists()


def test_safetensors_without_a_known_digest_are_trusted_on_first_use_and_held_to_it(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", server)
    Server.redirects = True
    source, path = HubSource("repo/net", "model.safetensors"), "net/model.safetensors"
    said = get(tmp_path / "w", source, path=path)
    assert any("trusted on first use" in line and COMMIT in line and "CC BY-NC" in line for line in said)
    assert pinned([]) == {path: Pin(digest(Server.content), COMMIT)}
    assert (tmp_path / "config/rumiai_ray/pins.toml").exists()
    assert not (tmp_path / "w/pins.toml").exists()
    # Another machine of the same user asks for the same commit, and takes nothing else.
    Server.content = b"something else"
    with pytest.raises(WeightsError, match="nothing was kept"):
        get(tmp_path / "other", source, path=path)
    assert Server.paths[-2:] == [f"/repo/net/resolve/{COMMIT}/model.safetensors", "/cdn/blob"]


def get_at_once(directory: Path, source: WeightSource, path: str) -> list[str | Exception]:
    """What two fetches of the same file say at the end; neither is answered before both have asked."""
    Server.together = threading.Barrier(2)

    def one(_: int) -> str | Exception:
        try:
            return get(directory, source, path=path)[-1]
        except WeightsError as error:
            return error

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(one, range(2)))


def test_two_first_fetches_at_once_leave_one_pin_that_every_later_load_can_read(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", server)
    Server.redirects = True
    path = "net/model.safetensors"
    said = get_at_once(tmp_path / "w", HubSource("repo/net", "model.safetensors"), path)
    assert all(isinstance(line, str) and line.endswith("model.safetensors@main") for line in said), said
    assert pinned([]) == {path: Pin(digest(Server.content), COMMIT)}
    assert (tmp_path / "config/rumiai_ray/pins.toml").read_text().count(f'"{path}" =') == 1


def test_of_two_first_fetches_that_are_given_different_files_one_is_trusted_and_the_other_refused(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", server)
    Server.redirects, Server.second = True, b"something else"
    path = "net/model.safetensors"
    said = get_at_once(tmp_path / "w", HubSource("repo/net", "model.safetensors"), path)
    (refused,) = [error for error in said if isinstance(error, WeightsError)]
    assert "nothing was kept" in str(refused) or "differs from the file" in str(refused)
    assert pinned([])[path].sha256 == digest((tmp_path / "w" / path).read_bytes())


@pytest.mark.parametrize("processes", [2, 4])
def test_processes_that_pin_at_once_write_one_line(processes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    program = (
        "import sys; from rumiai_ray.models.weights.pins import Pin, pin; print('ready', flush=True); sys.stdin.readline();"
        f"pin('net/model.safetensors', Pin('{'a' * 64}', '{COMMIT}'), 'a remark')"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    assert [process.wait(60) for process in started] == [0] * processes
    assert pinned([]) == {"net/model.safetensors": Pin("a" * 64, COMMIT)}


def test_a_pin_is_never_replaced_by_another_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    file = pin("net/model.safetensors", Pin("a" * 64, COMMIT), "first")
    written = file.read_text()
    with pytest.raises(WrongDigestError, match="another fetch has just trusted"):
        pin("net/model.safetensors", Pin("b" * 64, COMMIT), "second")
    assert file.read_text() == written


def test_a_file_that_nobody_vouched_for_is_pinned_only_if_the_hub_gives_the_same(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", server)
    Server.redirects = True
    path = "net/model.safetensors"
    (tmp_path / "net").mkdir()
    (tmp_path / path).write_bytes(b"planted")
    with pytest.raises(WeightsError, match="differs from the file that"):
        get(tmp_path, HubSource("repo/net", "model.safetensors"), path=path)
    assert (tmp_path / path).read_bytes() == b"planted"
    assert pinned([]) == {}
    (tmp_path / path).write_bytes(Server.content)
    get(tmp_path, HubSource("repo/net", "model.safetensors"), path=path)
    assert set(pinned([])) == {path}


def test_a_format_that_can_carry_code_is_not_trusted_on_first_use(server: str, tmp_path: Path) -> None:
    for name in ("net/model.pt", "net/model.bin", "net/safetensors.pkl"):
        with pytest.raises(WeightsError, match="this release has no digest"):
            get(tmp_path, UrlSource(f"{server}/file"), path=name)
    assert pinned([]) == {}


def test_a_licence_that_was_not_accepted_is_not_fetched(server: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="accept-noncommercial"):
        get(tmp_path, UrlSource(f"{server}/file"), path="net/model.safetensors", accepted=False)
    assert Server.paths == []


def test_a_hub_that_names_no_commit_is_not_trusted(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", server)
    with pytest.raises(WeightsError, match="did not name the commit of the file"):
        get(tmp_path, HubSource("repo/net", "model.safetensors"), path="net/model.safetensors")
    assert pinned([]) == {}


def test_who_has_moved_its_download_leaves_the_file_of_the_next_process_alone(tmp_path: Path) -> None:
    url, scratch = "https://example.org/model.bin", tmp_path / "scratch"
    with _http.place_for(url, tmp_path, scratch) as first:
        first.write_bytes(b"whole")
        first.replace(tmp_path / "model.bin")
        second = _http.place_for(url, tmp_path, scratch)
        path = second.__enter__()
    assert path.exists(), "the end of the first removed what the second had just begun"
    path.write_bytes(b"half")
    second.__exit__(None, None, None)
    assert path.read_bytes() == b"half"


def test_who_has_moved_its_download_takes_its_note_along(tmp_path: Path) -> None:
    with _http.place_for("https://example.org/model.bin", tmp_path, tmp_path / "scratch") as path:
        path.write_bytes(b"whole")
        path.with_suffix(".etag").write_text('"1"')
        path.replace(tmp_path / "model.bin")
    assert [found.name for found in tmp_path.iterdir()] == ["model.bin"]
