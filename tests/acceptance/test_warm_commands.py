"""The command line on a warm cell of the two signals, which need no weights: exit codes, and what goes to stdout."""

from __future__ import annotations

import json
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from product import Ran, rumiai_ray
from synthetic_clips import make_clip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="module")
def rumiai() -> Iterator[Callable[..., Ran]]:
    """Calls the command line beside a warm cell that `up` has started."""
    with tempfile.TemporaryDirectory(prefix="w-", dir="/tmp") as name:  # short: Ray's sockets lie in it
        settings = {"RUMIAI_STORE": f"{name}/store", "RUMIAI_OUT": f"{name}/runs", "RUMIAI_MODELS": "shots,sound", "TMPDIR": name}
        call = partial(rumiai_ray, cwd=Path(name), variables=settings, timeout_s=240)
        up = call("up")
        assert up.code == 0, up.stderr
        try:
            yield call
        finally:
            assert call("down").code == 0


def test_a_good_clip_is_answered_by_the_warm_cell_with_one_document(rumiai: Callable[..., Ran], tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", [number / 10 for number in range(20)], sound_from_to_s=[(0, 2)])
    for _ in range(2):
        ended = rumiai(clip, "--json")
        assert ended.code == 0, ended.stderr
        assert {name: model["status"] for name, model in ended.video("clip.mp4")["models"].items()} == {"shots": "ok", "sound": "ok"}
        assert json.loads((Path(ended.document["run_dir"]) / "summary.json").read_text(encoding="utf-8"))["cell"] == "warm"
    shown = rumiai(clip)
    assert shown.code == 0
    assert "clip.mp4" in "".join(shown.stdout.split())  # the line is folded where the path is long


def test_failures_keep_their_exit_codes(rumiai: Callable[..., Ran], tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    clip = make_clip(tmp_path / "clip.mp4", [number / 10 for number in range(20)])
    troubled = rumiai(clip, broken, "--json")
    assert troubled.code == 1, troubled.stderr
    assert [video["status"] for video in troubled.document["videos"]] == ["complete", "dead_letter"]
    refused = rumiai(clip, "--run-id", "no/name")
    assert (refused.code, refused.stdout) == (2, "")
    assert "no/name" in refused.stderr
