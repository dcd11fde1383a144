"""`export`, in this process, through `main`: which files each format writes, and what is said of what is left out."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from command_line import run_main
from report_run import plain_rows, write_run
from rumiai_ray.cli.exits import Exit
from rumiai_ray.schema.registry import TABLES_BY_NAME

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Call = Callable[..., tuple[int, str]]


@pytest.fixture
def rumiai(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Calls the command line beside a run of two entries, one of them a dead letter; gives exit code and stderr."""
    monkeypatch.setenv("RUMIAI_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("RUMIAI_OUT", str(tmp_path / "runs"))
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "runs", {"clip": plain_rows(), "mute": {}}, dead=("dead",))

    def call(*arguments: str) -> tuple[int, str]:
        ended = run_main(("export", "latest", *arguments), monkeypatch, capsys)
        assert ended.out == ""
        return ended.code, ended.err

    return call


@pytest.mark.parametrize("kind", ["srt", "vtt"])
def test_subtitles_are_a_file_per_entry_with_speech(rumiai: Call, tmp_path: Path, kind: str) -> None:
    assert rumiai("--format", kind, "--to", "to") == (Exit.COMPLETE, "no subtitles for 1 entry: no speech\n1 file under to\n")
    assert [path.name for path in (tmp_path / "to").iterdir()] == [f"clip.{kind}"]
    assert "hello there" in (tmp_path / f"to/clip.{kind}").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("kind", "files"),
    [("coco", {"annotations.json"}), ("fiftyone", {"metadata.json", "samples.json"}), ("labelstudio", {"tasks.json", "interface.xml"})],
)
def test_a_labelling_format_says_how_much_it_wrote_and_which_pictures_are_missing(
    rumiai: Call, tmp_path: Path, kind: str, files: set[str]
) -> None:
    code, err = rumiai("--format", kind, "--to", "to")
    assert code == Exit.COMPLETE
    assert "100 of 100 pictures left out: not in the frame store" in err
    assert "50 detections in 100 frames of 2 videos under to" in err
    assert {path.name for path in (tmp_path / "to").iterdir()} == files
    code, err = rumiai("--format", kind, "--to", "alone", "--no-pictures")
    assert (code, err) == (Exit.COMPLETE, "50 detections in 100 frames of 2 videos under alone\n")


def test_some_tables_without_landmarks(rumiai: Call, tmp_path: Path) -> None:
    assert rumiai("--tables", "texts, objects,texts", "--no-landmarks", "--to", "csv")[0] == Exit.COMPLETE
    assert sorted(path.name for path in (tmp_path / "csv").iterdir()) == ["objects.csv", "texts.csv"]
    with (tmp_path / "csv/texts.csv").open(encoding="utf-8", newline="") as file:
        assert "polygon" not in next(csv.reader(file))
    assert rumiai("--format", "parquet", "--tables", "texts", "--no-landmarks", "--to", "parquet")[0] == Exit.COMPLETE
    schema = pq.read_schema(tmp_path / "parquet/texts.parquet")
    assert schema.names == [name for name in TABLES_BY_NAME["texts"].schema.names if name not in TABLES_BY_NAME["texts"].bulky]
    assert (schema.metadata or {})[b"definition"] == TABLES_BY_NAME["texts"].definition.encode()


@pytest.mark.parametrize(
    "arguments", [("--tables", "nosuch"), ("--format", "json", "--tables", "texts"), ("--format", "srt", "--no-landmarks")]
)
def test_tables_that_are_not_there_or_not_asked_of_tables_are_wrong_usage(rumiai: Call, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    code, err = rumiai(*arguments, "--to", "to")
    assert code == Exit.USAGE
    assert "no table 'nosuch'" in err or "--format csv or parquet" in err
    assert not (tmp_path / "to").exists()


@pytest.mark.parametrize("kind", ["csv", "parquet", "json", "feature-csv", "srt", "vtt"])
def test_no_pictures_is_wrong_usage_where_none_would_be_written(rumiai: Call, tmp_path: Path, kind: str) -> None:
    code, err = rumiai("--format", kind, "--no-pictures", "--to", "to")
    assert code == Exit.USAGE
    assert "--no-pictures" in err
    assert "--format coco" in err
    assert not (tmp_path / "to").exists()


def test_the_score_of_a_detection_is_the_run_s(rumiai: Call, tmp_path: Path) -> None:
    assert rumiai("--format", "coco", "--no-pictures", "--to", "to")[0] == Exit.COMPLETE
    annotations = json.loads((tmp_path / "to/annotations.json").read_text(encoding="utf-8"))["annotations"]
    assert {one["score"] for one in annotations} == {0.9}
