"""The first command of all as a stranger types it: no `--profile`, no directories, and no hub that answers."""

from __future__ import annotations

import functools
import os
import re
import socket
import threading
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from product import rumiai_ray
from rumiai_ray.models.catalogue import model_class
from rumiai_ray.models.weights.choice import locate
from rumiai_ray.models.weights.places import default_directories
from synthetic_clips import make_clip

if TYPE_CHECKING:
    from collections.abc import Iterator

REPLACED = {"emotion": "py-feat/detectorv2", "yolo": "ultralytics/yolo11n"}
"""Families whose flagship only a hub has."""
SIGNALS = ("shots", "sound")


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        return


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Address of a web server of this machine with the files of a folder."""
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def stranger(weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of somebody who has run `make demo` where no hub answers: only the stand-ins are in the cache."""
    del weights
    wanted = [one for name in REPLACED for one in model_class(name).choices(model_class(name).settings_type()) if one.stand_in]
    files = [file for candidate in wanted for file in candidate.files]
    here = locate(files, default_directories())
    if absent := [file.path for file in files if file not in here]:
        pytest.skip(f"weights of stand-ins are missing: {', '.join(absent)}")
    for file, path in here.items():
        link = tmp_path / "cache/rumiai_ray/weights" / file.path
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.exists():  # two stand-ins share a file
            link.symlink_to(path.resolve())
    for name in [name for name in os.environ if name.startswith(("RUMIAI_", "XDG_", "HF_"))]:
        monkeypatch.delenv(name)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        hub = f"http://127.0.0.1:{closed.getsockname()[1]}"
    folders = {f"XDG_{kind.upper()}_HOME": str(tmp_path / kind) for kind in ("cache", "config")}
    return {**folders, "HF_ENDPOINT": hub, "NO_PROXY": "127.0.0.1"}


def test_where_no_hub_answers_the_stand_ins_run_and_the_plan_says_why(stranger: dict[str, str], tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", [number / 25 for number in range(50)], sound_from_to_s=[(0, 2)], size_px=(480, 320))
    web = tmp_path / "web"
    web.mkdir()
    make_clip(web / "other.mp4", [number / 25 for number in range(50)], size_px=(480, 320), numbers=range(900, 950))
    models = (*REPLACED, *SIGNALS)
    with serving(web) as address:
        options = ("--models", ",".join(models), "--limits-private-hosts", "--json")
        ran = rumiai_ray(clip, f"{address}/other.mp4", *options, cwd=tmp_path, variables=stranger)
    assert ran.code == 0, ran.stderr
    lines = {name: [line for line in ran.stderr.splitlines() if re.match(rf"{name} +\S+/", line)] for name in models}
    assert {name: len(found) for name, found in lines.items()} == dict.fromkeys(models, 1), ran.stderr
    for name, flagship in REPLACED.items():
        why = f"the flagship {flagship} is not available (no answer from 127.0.0.1); its stand-in is on this machine"
        assert lines[name][0].endswith(f"  (stand-in: {why})")
    for video in ran.document["videos"]:
        ended = {name: one["status"] for name, one in video["models"].items()}
        assert {ended.pop(name) for name in REPLACED} <= {"ok", "empty"}, "black and white cells are no face"
        assert ended == {"shots": "ok", "sound": "skipped" if video["input"].startswith("http") else "ok"}
    assert Path(ran.document["run_dir"]).resolve().parent == tmp_path / "runs"
