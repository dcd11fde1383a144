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
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from planted import COLUMN, COOKIE, ID, PROXY, REFLECTED, REFUSED, SIGNATURE, TOKEN, VARIABLE, Origin, everything, leaks
from planted_verbs import DRIVEN, EXCEPTIONS, all_verbs, calls, verb_of
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


def figures_of_the_agent(place: Path) -> bytes:
    """As `figures_of_all_processes`, as soon as Ray's agent is there."""
    figures, deadline_s = figures_of_all_processes(place), time.monotonic() + _AGENT_S
    while b"# TYPE" not in figures and time.monotonic() < deadline_s:
        figures += figures_of_all_processes(place)
    return figures


def test_every_verb_is_called_over_planted_secrets_or_is_an_exception_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / "given").mkdir()
    called = DRIVEN | {verb_of(one.arguments) for one in calls(tmp_path, "http://h", "http://h/signed.mp4?x=y", "0" * 64)}
    assert called.isdisjoint(EXCEPTIONS)
    assert called | EXCEPTIONS.keys() == all_verbs()


@pytest.mark.timeout(1500)
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
    verbs: set[str] = set()

    def call(*arguments: str | Path, **more: str) -> Ran:
        ran = rumiai_ray(*arguments, cwd=place, variables=variables | more, timeout_s=400)
        printed.append((" ".join(map(str, arguments[:2])), ran.stdout + ran.stderr))
        verbs.add(verb_of(arguments))
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
        figures = figures_of_the_agent(place)
        assert b"# TYPE" in figures
        assert leaks(iter([(Path("metrics"), figures)])) == []
        assert leaks(everything(place / "tmp")) == [], "while the warm cell lives"
    finally:
        assert call("down").code == 0
    wanted = calls(place, at, signed, sha256(origin.clip).hexdigest())
    ended = [one._replace(code=call(*one.arguments).code) for one in wanted]
    assert ended == wanted, "\n".join(text for _, text in printed)
    assert verbs == all_verbs() - EXCEPTIONS.keys(), "a verb is not called"

    assert "signed.mp4?…" in "".join(text for _, text in printed)
    assert leaks((Path(name), text.encode()) for name, text in printed) == []
    assert stat.S_IMODE((given / "left.csv").stat().st_mode) == 0o600, "it has the manifest's addresses as they are"
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
