"""`corpus duplicates`, in this process, through `main`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from command_line import run_main
from report_run import write_run
from reposts import moving_scene, plain_clip, repost, rows_of
from rumiai_ray.cli.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def rumiai(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Calls the command line in a directory of its own, whose runs are in `runs`; gives exit code, stdout, stderr."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("RUMIAI_OUT", str(tmp_path / "runs"))
    monkeypatch.chdir(tmp_path)

    return lambda *arguments: run_main(arguments, monkeypatch, capsys)


def test_near_duplicates_are_listed_and_written_for_programs(rumiai: Call, tmp_path: Path) -> None:
    clip = moving_scene(1, 2.0)
    clips = {"a": clip, "b\x1b[31m[bold]": repost(clip, "mirrored"), "other": moving_scene(2, 2.0), "black": plain_clip(0, 1.0)}
    write_run(tmp_path / "runs", {name: rows_of(name, shown) for name, shown in clips.items()})
    code, out, err = rumiai("corpus", "duplicates", "runs/*")
    assert (code, err) == (Exit.COMPLETE, "2 videos in 1 cluster of near-duplicates\n")
    assert "mirrored" in out
    assert "\x1b[31m" not in out
    assert "other" not in out
    rows = json.loads(rumiai("corpus", "duplicates", "runs/*", "--json")[1])
    assert [row["kind"] for row in rows] == ["first", "mirrored"]
    assert {row["entry_id"] for row in rows} == {"a", "b\x1b[31m[bold]"}
    assert rumiai("corpus", "duplicates", "runs/*", "--csv")[1].startswith("cluster,video_key,entry_id,input,like,")
    code, _, err = rumiai("corpus", "duplicates", "runs/*", "--csv", "--json")
    assert code == Exit.USAGE
    assert "either --csv or --json" in err


def test_runs_without_hashes_are_said_to_have_none(rumiai: Call, tmp_path: Path) -> None:
    write_run(tmp_path / "runs", {"a": {}}, tables=("videos", "analyses", "windows", "dead_letter"))
    code, out, err = rumiai("corpus", "duplicates", "runs/*")
    assert (code, out) == (Exit.USAGE, "")
    assert "no run has picture hashes" in err
    assert "shots" in err
