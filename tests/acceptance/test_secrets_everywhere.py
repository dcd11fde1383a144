"""Secrets lie in addresses, cookies, a proxy and the environment; every verb is called, and all that was left or printed is searched."""

from __future__ import annotations

import http.client
import json
import stat
import tempfile
import threading
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from planted import COLUMN, COOKIE, ID, PROXY, REFLECTED, REFUSED, SIGNATURE, TOKEN, VARIABLE, Origin, everything, leaks
from product import Ran, rumiai_ray
from synthetic_clips import make_clip

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="s-", dir="/tmp") as name:  # short: Ray's sockets lie in it
        yield Path(name)


@pytest.fixture
def origin(tmp_path: Path) -> Iterator[Origin]:
    server = Origin(make_clip(tmp_path / "clip.mp4", [number / 10 for number in range(20)]).read_bytes())
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def figures_of_all_processes(place: Path) -> bytes:
    """What every socket of the processes that work in `place` says to `GET /metrics`.

    Their children are among them: Ray's agent, which has the figures of a node, wipes its command line and its environment out. Its monitor
    has figures too, but on a port that is the same for every Ray of a machine: only the first one there has it.
    """
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if str(place) in " ".join(process.cmdline()) or process.environ().get("TMPDIR") == str(place / "tmp"):
                found |= {one.pid: one for one in (process, *process.children(recursive=True))}
    said = b""
    for process in found.values():
        with suppress(psutil.Error):
            for one in process.net_connections(kind="inet"):
                if one.status == psutil.CONN_LISTEN:
                    with (
                        suppress(OSError, http.client.HTTPException),
                        urllib.request.urlopen(f"http://127.0.0.1:{one.laddr.port}/metrics", timeout=10) as answer,
                    ):
                        said += answer.read()
    return said


_AGENT_S = 180.0
"""Ray's agent, which has the figures, starts beside everything else: on a busy machine it was there after more than a minute."""


@pytest.mark.timeout(900)
def test_no_verb_prints_or_leaves_a_planted_secret(place: Path, origin: Origin) -> None:
    at = f"http://127.0.0.1:{origin.server_port}"
    signed = f"{at}/signed.mp4?X-Amz-Date=1&X-Amz-Signature={SIGNATURE}"
    for name in ("home", "tmp", "given"):
        (place / name).mkdir()
    given = place / "given"
    (given / "cookies.txt").write_text(f"# Netscape HTTP Cookie File\n.h.example\tTRUE\t/\tTRUE\t0\tsession\t{COOKIE}\n")
    rows = [
        ("signed", signed, f"{at}/poster.jpg?x-signature={COLUMN}"),
        ("token", f"{at}/token.mp4?token={TOKEN}", ""),
        (f"{at}/away?id={ID}", f"{at}/away.mp4", ""),
        ("refused", f"https://me:{REFUSED}@h.example/a.mp4", ""),
        ("reflected", f"{at}/reflect.mp4?k={REFLECTED}", ""),
    ]
    (given / "list.csv").write_text("id,input,poster\n" + "".join(",".join(row) + "\n" for row in rows))
    variables = {
        "HOME": str(place / "home"),
        "TMPDIR": str(place / "tmp"),
        "AWS_SECRET_ACCESS_KEY": VARIABLE,
        "RUMIAI_LOG": "debug",
        "RUMIAI_STORE": str(place / "store"),
        "RUMIAI_OUT": str(place / "runs"),
        "RUMIAI_MODELS": "shots",
        "RUMIAI_PROFILE": "offline",
        "RUMIAI_LIMITS_PRIVATE_HOSTS": "true",
        "RUMIAI_COOKIES": str(given / "cookies.txt"),
    }
    printed: list[tuple[str, str]] = []
    ends: dict[str, int] = {}

    def call(*arguments: str | Path, **more: str) -> Ran:
        ran = rumiai_ray(*arguments, cwd=place, variables=variables | more, timeout_s=400)
        printed.append((" ".join(map(str, arguments[:2])), ran.stdout + ran.stderr))
        ends[f"{len(ends)} {arguments[0]} {arguments[1] if len(arguments) > 1 else ''}"] = ran.code
        return ran

    assert call("batch", "--manifest", given / "list.csv", "--run-id", "first").code == 1
    origin.open = True
    assert call("runs", "retry", "first").code == 1
    proxy = f"http://me:{PROXY}@127.0.0.1:{origin.server_port}"
    assert call("analyze", "--proxy", proxy, "--", signed).code == 2, "a password has no place in arguments, which every user can list"
    reflected = f"{at}/reflect.mp4?k={REFLECTED}"
    assert call("analyze", "--json", "--proxy", "env", "--", signed, f"{at}/a.mp4?token={TOKEN}", HTTPS_PROXY=proxy).code == 1
    assert call("plan", "--json", "--proxy", "env", HTTPS_PROXY=proxy).code == 0
    assert call("up").code == 0
    try:
        warm = call("analyze", "--json", "--", signed, reflected)
        assert warm.code == 1
        assert json.loads((Path(warm.document["run_dir"]) / "summary.json").read_text(encoding="utf-8"))["cell"] == "warm"
        call("status")
        call("plan")
        figures, deadline_s = figures_of_all_processes(place), time.monotonic() + _AGENT_S
        while b"# TYPE" not in figures and time.monotonic() < deadline_s:
            figures += figures_of_all_processes(place)
        assert b"# TYPE" in figures
        assert leaks(iter([(Path("metrics"), figures)])) == []
        assert leaks(everything(place / "tmp")) == [], "while the warm cell lives"
    finally:
        assert call("down").code == 0
    for arguments in (
        *(("runs", "ls"), ("runs", "verify", "first"), ("frames", "ls"), ("frames", "verify"), ("weights", "list"), ("doctor",)),
        *(("runs", "show", "first"), ("runs", "show", "first", "--json"), ("runs", "show", "first", "--failures")),
        *(("runs", "show", "first", "--failures", "--json"), ("runs", "show", "first", "--export-json", str(place / "documents"))),
        *(("export", "first", "--format", kind, "--csv-raw", "--to", str(place / f"out-{kind}")) for kind in ("csv", "parquet", "json")),
        ("export", "first", "--format", "feature-csv", "--csv-raw", "--to", str(place / "features.csv")),
        *(("query", "first", f"from {table}", "--json") for table in ("videos", "dead_letter", "analyses")),
        *(("report", "first", "--to", str(place / "report")), ("report", "latest", "--to", str(place / "report-warm"))),
        ("annotate", "first", "signed", str(place / "drawn.mp4")),
        ("runs", "resume", "first"),
    ):
        call(*arguments)
    assert ends.pop(next(name for name in ends if "annotate" in name)) != 0, "the downloaded video is gone"
    assert {name: code for name, code in ends.items() if code not in {0, 1, 2}} == {}

    assert "signed.mp4?…" in "".join(text for _, text in printed)
    assert leaks((Path(name), text.encode()) for name, text in printed) == []
    for kept in given.iterdir():
        kept.unlink()
    assert leaks(everything(place)) == []
    private = list((place / "runs").glob("*/private/*"))
    assert private
    assert {stat.S_IMODE(path.stat().st_mode) for path in private} == {0o600}
    found = [path for path, content in everything_private(place) if path.suffix == ".parquet" and SIGNATURE.encode() in content]
    assert found, "the look finds it"


def everything_private(place: Path) -> Iterator[tuple[Path, bytes]]:
    for folder in (place / "runs").glob("*/private"):
        copy = place / "copies" / folder.parent.name
        copy.mkdir(parents=True)
        for path in folder.iterdir():
            (copy / path.name).write_bytes(path.read_bytes())
        yield from list(everything(copy))[1:]
