"""What the command line says of wrong usage."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from rumiai_ray.cli.app import main
from rumiai_ray.cli.exits import Exit

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["clip.mp4", "--fps", "3"], "(Possible options: --sampling-fps)"),
        (["batch", "--fps", "3"], "(Possible options: --sampling-fps)"),
        (["--verison"], "--version"),
        (["clip.mp4", "--jsno"], "--json"),
        (["clip.mp4", "--models", "yolow"], "setting models: unknown model yolow"),
        (["list", "https://h/x", "--since", "yesterday"], "'yesterday' is not a date (expected YYYY-MM-DD)"),
        (["export", "latest", "--format", "docx"], "'docx' is not one of 'csv'"),
        (["batch", "posts.csv"], "rumiai-ray batch --manifest posts.csv"),
        (["batch", "my posts.csv"], "rumiai-ray batch --manifest 'my posts.csv'"),
        (["batch", "posts.xlsx"], "save the sheet as CSV UTF-8, then rumiai-ray batch --manifest FILE"),
        (["posts.xlsx"], "a spreadsheet, not a video (save the sheet as CSV UTF-8)"),
        (["posts.csv.gz"], "a compressed file, not a video (decompress it first)"),
        (["posts.json"], "a list, not a video (rumiai-ray batch --manifest posts.json)"),
        (["posts.TXT"], "a list, not a video (rumiai-ray batch --manifest posts.TXT)"),
        (["posts.csv"], "a list, not a video (rumiai-ray batch --manifest posts.csv)"),
        (["analyze", "clip.mp4", "posts.csv"], "a list, not a video"),
    ],
)
def test_wrong_usage_is_told_what_was_meant(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    for ending in ("csv", "json", "TXT", "xlsx", "csv.gz"):
        (tmp_path / f"posts.{ending}").write_text("url\nhttps://h/a\n")
    (tmp_path / "clip.mp4").write_text("no video")
    monkeypatch.setattr(sys, "argv", ["rumiai-ray", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == Exit.USAGE
    err = capsys.readouterr().err
    assert said in err
    assert "Value error" not in err


@pytest.mark.parametrize("option", ["-h", "--help", "--help-all"])
def test_help_is_given_beside_a_manifest_that_lacks_its_option(
    option: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["rumiai-ray", "batch", "posts.csv", option])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == Exit.COMPLETE
    assert "--manifest" in capsys.readouterr().out
