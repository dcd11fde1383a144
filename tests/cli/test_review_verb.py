"""`corpus review`, in this process, through `main`: from an export over corrections to a question."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from command_line import run_main
from report_run import analysis_row, video_key, video_row, write_run
from rumiai_ray.cli.exits import Exit
from rumiai_ray.errors import ConfigError
from rumiai_ray.runs.find import find_run
from rumiai_ray.runs.forget import Doomed, Selected, forget
from rumiai_ray.runs.hold import alone_with
from rumiai_ray.runs.reviews.given import parse_review
from rumiai_ray.runs.reviews.judged import judge
from rumiai_ray.runs.reviews.table import read_reviews, review_files
from synthetic_run import object_row

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def rumiai(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Calls the command line beside one run with two detections; gives exit code, stdout, stderr."""
    monkeypatch.setattr("os.fsync", lambda _: None)
    monkeypatch.setenv("RUMIAI_OUT", str(tmp_path / "runs"))
    monkeypatch.chdir(tmp_path)
    seen = analysis_row("yolo", frames_seen=[0, 1], frames_planned=2, frames_analyzed=2)
    write_run(tmp_path / "runs", {"clip": {"videos": [video_row("clip")], "analyses": [seen], "objects": [object_row(0), object_row(1)]}})
    return lambda *arguments: run_main(arguments, monkeypatch, capsys)


def corrected(rumiai: Call, place: Path) -> Path:
    """A file of COCO in which one of the two boxes is gone."""
    assert rumiai("export", "latest", "--format", "coco", "--no-pictures", "--to", "coco")[0] == Exit.COMPLETE
    value: Any = json.loads((place / "coco/annotations.json").read_text())
    value["annotations"].pop()
    path = place / "corrected.json"
    path.write_text(json.dumps(value))
    return path


def test_corrections_come_back_and_are_asked_for_in_sql(rumiai: Call, tmp_path: Path) -> None:
    path = corrected(rumiai, tmp_path)
    code, _, err = rumiai("corpus", "review", "latest", str(path), "--by", "zoe\x1b[31m")
    assert code == Exit.COMPLETE
    assert "1 correction in 2 reviewed frames of 1 video\n" in err
    out = rumiai("corpus", "query", "runs/*", "SELECT precision, recall, detections FROM accuracy", "--csv")[1]
    assert out == "precision,recall,detections\n0.5,1.0,2\n"
    out = rumiai("corpus", "query", "runs/*", "SELECT verdict, reviewer FROM reviews ORDER BY frame_index")[1]
    assert "removed" in out
    assert "\x1b[31m" not in out
    assert rumiai("runs", "verify", "latest")[0] == Exit.COMPLETE
    assert rumiai("runs", "rm", "latest", "--yes")[0] == Exit.COMPLETE
    assert not list((tmp_path / "runs").iterdir())


def test_what_changes_nothing_is_said_and_what_is_there_or_of_no_frame_is_refused(rumiai: Call, tmp_path: Path) -> None:
    path = corrected(rumiai, tmp_path)
    assert "check that FILE is the tool's export" in rumiai("corpus", "review", "latest", "coco/annotations.json")[2]
    code, _, err = rumiai("corpus", "review", "latest", "coco/annotations.json")
    assert (code, "already been imported" in err) == (Exit.USAGE, True)
    value = json.loads(path.read_text())
    for image in value["images"]:
        image |= {"video_key": "0" * 64, "file_name": "x.jpg"}
    path.write_text(json.dumps(value))
    code, _, err = rumiai("corpus", "review", "latest", str(path))
    assert code == Exit.USAGE
    assert "no reviewed frame of this run" in err
    assert rumiai("corpus", "review", "latest", str(tmp_path))[0] != Exit.COMPLETE
    assert rumiai("corpus", "review", "latest", "nosuch.json")[0] != Exit.COMPLETE


def test_frames_known_by_name_alone_and_boxes_outside_the_picture_are_said(rumiai: Call, tmp_path: Path) -> None:
    path = corrected(rumiai, tmp_path)
    value = json.loads(path.read_text())
    value["annotations"].append(value["annotations"][0] | {"id": 98, "bbox": [-50, 0, 20, 20]})
    for image in value["images"]:
        del image["video_key"], image["frame_index"]
    path.write_text(json.dumps(value))
    code, _, err = rumiai("corpus", "review", "latest", str(path))
    assert code == Exit.COMPLETE
    assert "2 frames known by the names of their pictures alone: the file does not say which frames they are\n" in err
    assert "1 box left out: it lies outside the picture, or has no extent\n" in err


def test_a_file_that_was_imported_with_the_wrong_tag_is_imported_again_with_the_right_one(rumiai: Call, tmp_path: Path) -> None:
    assert rumiai("export", "latest", "--format", "fiftyone", "--no-pictures", "--to", "fo")[0] == Exit.COMPLETE
    path = tmp_path / "fo/samples.json"
    value = json.loads(path.read_text())
    first, second = value["samples"]
    first |= {"tags": ["seen"], "corrected": {"detections": []}}
    second |= {"tags": ["done"], "corrected": second["objects"]}
    path.write_text(json.dumps(value))
    run = find_run("latest", tmp_path / "runs")

    def kept() -> list[tuple[int, str, str | None]]:
        return [(row["frame_index"], row["verdict"], row["reviewer"]) for row in read_reviews(run.store).to_pylist()]

    assert rumiai("corpus", "review", "latest", str(path), "--tag", "seen")[0] == Exit.COMPLETE
    assert kept() == [(0, "confirmed", None)]
    code, _, err = rumiai("corpus", "review", "latest", str(path), "--tag", "done")
    assert (code, "1 row of the earlier import" in err) == (Exit.COMPLETE, True)
    assert "1 frame left out: nobody has reviewed it\n" in err
    assert "0 corrections in 1 reviewed frame of 1 video\n" in err
    assert kept() == [(1, "confirmed", None)]
    files = len(list(review_files(run.store)))
    code, _, err = rumiai("corpus", "review", "latest", str(path), "--tag", "done")
    assert (code, "already been imported" in err, len(list(review_files(run.store)))) == (Exit.USAGE, True, files)
    assert rumiai("corpus", "review", "latest", str(path), "--field", "corrected", "--by", "zoe")[0] == Exit.COMPLETE
    assert sorted(kept()) == [(0, "removed", "zoe"), (1, "confirmed", "zoe")]
    assert rumiai("corpus", "review", "latest", str(path), "--tag", "nosuch")[0] == Exit.USAGE
    assert len(kept()) == 2
    assert run.again().verify() == []


def test_a_file_that_is_too_large_is_refused_before_all_of_it_is_read(
    rumiai: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "large.json"
    path.write_bytes(b"[" + b" " * 5_000 + b"]")
    read: list[int] = []

    def parsed(data: bytes, *arguments: Any, **options: Any) -> Any:
        read.append(len(data))
        return parse_review(data, *arguments, **options)

    monkeypatch.setattr("rumiai_ray.runs.reviews.given.MOST_BYTES", 1_000)
    monkeypatch.setattr("rumiai_ray.runs.reviews.given.parse_review", parsed)
    code, _, err = rumiai("corpus", "review", "latest", str(path))
    assert (code, read, "more than 1,000 bytes" in err) == (Exit.USAGE, [1_001], True)


@pytest.mark.parametrize("locks", [True, False])
def test_a_video_that_is_forgotten_while_its_review_is_read_does_not_come_back(
    rumiai: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, locks: bool
) -> None:
    path = corrected(rumiai, tmp_path)
    run = find_run("latest", tmp_path / "runs")
    if not locks:
        monkeypatch.setattr("rumiai_ray.runs.hold._locked", lambda *_: None)
        monkeypatch.setattr("rumiai_ray.runs.hold.SILENT_FOR", timedelta(0))
    ended: list[int] = []

    def judged_late(*arguments: Any, **options: Any) -> Any:
        found = judge(*arguments, **options)
        key = video_key("clip")
        try:
            with alone_with(run):
                forget(run.again(), Doomed(frozenset({"clip"}), frozenset({key}), frozenset({"clip.mp4"})), Selected("video", key))
            ended.append(0)
        except ConfigError:
            ended.append(1)
        return found

    monkeypatch.setattr("rumiai_ray.runs.reviews.judged.judge", judged_late)
    code, _, err = rumiai("corpus", "review", "latest", str(path))
    if locks:
        assert (code, ended) == (Exit.COMPLETE, [1])
    else:
        assert (code, ended) == (Exit.USAGE, [0])
        assert "has forgotten" in err
        assert read_reviews(run.store).num_rows == 0
        assert list(review_files(run.store)) == []
    assert run.again().verify() == []


def test_a_review_of_a_run_that_was_removed_while_it_was_read_does_not_make_it_again(
    rumiai: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = corrected(rumiai, tmp_path)

    def parsed_late(*arguments: Any, **options: Any) -> Any:
        shutil.rmtree(tmp_path / "runs")
        return parse_review(*arguments, **options)

    monkeypatch.setattr("rumiai_ray.runs.reviews.given.parse_review", parsed_late)
    code, _, err = rumiai("corpus", "review", "latest", str(path))
    assert (code, "removed in the meantime" in err) == (Exit.USAGE, True)
    assert not (tmp_path / "runs").exists()
