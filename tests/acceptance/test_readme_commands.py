"""Every command that README shows, typed into a shell as it stands there: sites and buckets are on this machine.

With the models of `MODELS` and the profile `offline`; `test_default_profile.py` is without a profile, and `test_demo_clip.py` looks at what
all models find in the demo's clip. No test carries out the two `make` targets: `tests/test_packaging.py` looks at what they would run, and
`make first-run` runs the first of them as a stranger would.
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import av
import fsspec
import numpy as np
import pytest
from PIL import Image

from post_sites import card, post_sites
from product import ROOT
from shown_commands import shown_commands
from sound_files import make_sound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from post_sites import PostSites
    from s3_server import S3Server

POSTS = ("123", "124", "125")
"""Of the creator `@x`; the last one is gone."""
CODES = {"rumiai-ray batch": 1, "rumiai-ray runs resume": 1, "rumiai-ray runs retry": 1}
"""What does not end with 0: the removed post is a dead letter, whenever it is tried."""


MODELS = ("ocr", "shots", "sound")


def readmes_commands() -> list[str]:
    """Command lines of README's blocks and sentences, in its order, each once; RUN is the latest one."""
    lines = [re.sub(r"\bRUN\b", "latest", one.line) for one in shown_commands(ROOT / "README.md")]
    return list(dict.fromkeys(lines))


def film(path: Path, text: str) -> Path:
    """A clip of 2 s that shows a text."""
    picture = Image.open(io.BytesIO(card(text, size_px=(360, 640)))).convert("RGB")
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=5)
        stream.width, stream.height, stream.pix_fmt = *picture.size, "yuv420p"
        for _ in range(10):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(np.asarray(picture), format="rgb24")))
        output.mux(stream.encode(None))
    return path


class Shell:
    """A user's shell in a directory with two clips, beside a warm cell of text reader and signals."""

    def __init__(self, folder: Path, sites: PostSites, s3: S3Server) -> None:
        self.folder, self.sites = folder, sites
        settings = {"PROFILE": "offline", "MODELS": ",".join(MODELS), "STORE": f"{folder}/store", "PROXY": sites.proxy}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.variables = {f"RUMIAI_{name}": value for name, value in settings.items()} | {"PATH": path, "PYTHONPATH": str(ROOT)}
        self.variables |= {**s3.variables, "SSL_CERT_FILE": str(sites.certificate), "TMPDIR": str(folder), "COLUMNS": "200"}

    def type(self, line: str) -> subprocess.CompletedProcess[str]:
        """Type a line, with the site as it is when somebody does that."""
        if "/photo/" in line:
            self.sites.serve_photo_post([card("COFFEE"), card("BREAD")], make_sound(self.folder / "sound.m4a", 6.0).read_bytes(), POSTS[0])
        else:
            self.sites.serve_video_post((self.folder / "clip.mp4").read_bytes(), POSTS[0])
        environment = {**os.environ, **self.variables}
        return subprocess.run(
            ["/bin/bash", "-c", line],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
            stdin=subprocess.DEVNULL,
        )


@pytest.fixture
def shell(weights: str, s3: S3Server) -> Iterator[Shell]:
    del weights
    with tempfile.TemporaryDirectory(prefix="r-", dir="/tmp") as name, post_sites(Path(name)) as sites:  # short: Ray's sockets lie in it
        clip = film(Path(name, "clip.mp4"), "ORDER NOW")
        film(Path(name, "another.mov"), "HELLO")
        bucket = fsspec.filesystem("s3", use_listings_cache=False)
        bucket.mkdir("bucket")
        bucket.put_file(str(clip), "bucket/clip.mp4")
        sites.serve_creator("x", POSTS)
        sites.serve_video_post(clip.read_bytes(), POSTS[1])
        sites.serve_tiktok(10204, POSTS[2])
        shell = Shell(Path(name), sites, s3)
        up = shell.type("rumiai-ray up")
        assert up.returncode == 0, up.stderr
        try:
            yield shell
        finally:
            assert shell.type("rumiai-ray down").returncode == 0


@pytest.mark.model(*MODELS)
@pytest.mark.timeout(1200)
def test_readmes_commands_do_what_they_say(shell: Shell) -> None:
    lines = readmes_commands()
    assert len(lines) >= 22
    said: dict[str, str] = {}
    for line in lines:
        if line.startswith("rumiai-ray query") and not any("query" in before for before in said):
            assert shell.type("rumiai-ray clip.mp4").returncode == 0  # the latest run is that of the retry, without a row
        ended = shell.type(line)
        expected = next((code for words, code in CODES.items() if line.startswith(words)), 0)
        assert ended.returncode == expected, f"{line}\n{ended.stdout}\n{ended.stderr}"
        assert "Traceback" not in ended.stdout + ended.stderr, line
        said[line] = ended.stdout
    assert json.loads((shell.folder / "result.json").read_text(encoding="utf-8"))["status"] == "complete"
    listed = (shell.folder / "posts.csv").read_text(encoding="utf-8").splitlines()
    assert len(listed) == 1 + len(POSTS)
    call_to_action, hook, *_ = (text for line, text in said.items() if line.startswith("rumiai-ray query"))
    assert "ORDER NOW" in call_to_action
    assert "hook" in hook
    assert "CITY BUS STOP" in said["rumiai-ray demo"].partition("came out")[2]
