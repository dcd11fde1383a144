"""What a notebook shows of a run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from rumiai_ray.runs.reader import Run, open_run
from rumiai_ray.runs.writer import RunWriter
from synthetic_run import RUN_ID, analysis_row, dead_letter_row, manifest, stamped, video_row

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def writer(tmp_path: Path) -> RunWriter:
    return RunWriter.create(tmp_path, manifest())


def commit(writer: RunWriter, name: str, **changes: str) -> None:
    writer.add(
        {
            "videos": stamped("videos", [video_row(name, **changes)], name),
            "analyses": stamped("analyses", [analysis_row("yolo"), analysis_row("whisper", "empty")], name),
        }
    )
    writer.commit([name], [])


def cells(run: Run) -> list[str]:
    return re.findall(r"<t[dh]>(.*?)</t[dh]>", run._repr_html_())


def test_videos_models_and_dead_letters_are_shown(writer: RunWriter, tmp_path: Path) -> None:
    commit(writer, "well", input="well.mp4")
    writer.add({"dead_letter": stamped("dead_letter", [dead_letter_row("gone")], "gone")})
    writer.commit([], ["gone"])
    writer.finish("partial", {})
    run = open_run(tmp_path / RUN_ID)
    said = run._repr_html_()
    assert f"run <b>{RUN_ID}</b>: partial, in <code>{tmp_path}/{RUN_ID}</code>" in said
    shown = cells(run)
    assert shown[:4] == ["video", "seconds", "yolo", "whisper"]
    assert shown[4] == "well.mp4"
    assert shown[6].startswith("ok")
    assert shown[7].startswith("empty")
    assert shown[8:10] == ["dead letter", "reason"]
    assert "no such file" in shown[11]
    assert repr(run) == f"<Run {RUN_ID} in {tmp_path}/{RUN_ID}>"


def test_names_from_outside_are_no_markup(writer: RunWriter, tmp_path: Path) -> None:
    commit(writer, "odd", input="<script>alert(1)</script>\x1b[31m.mp4")
    said = open_run(tmp_path / RUN_ID)._repr_html_()
    assert "<script" not in said
    assert "\x1b" not in said
    assert "&lt;script&gt;" in said


@pytest.mark.parametrize("name", ["{tag}", "a{0}b", "{", "}{", "{0!r:>9}"])
def test_a_run_in_a_folder_with_braces_in_its_name_is_shown(tmp_path: Path, name: str) -> None:
    commit(RunWriter.create(tmp_path / name, manifest()), "well", input="well.mp4")
    run = open_run(tmp_path / name / RUN_ID)
    assert f"<code>{tmp_path}/{name}/{RUN_ID}</code>" in run._repr_html_().replace("&gt;", ">")
    (tmp_path / name / RUN_ID / "commits" / "00000000.json").write_text("{")
    assert name in open_run(tmp_path / name / RUN_ID)._repr_html_().replace("&gt;", ">")


def test_of_many_videos_the_first_are_shown(writer: RunWriter, tmp_path: Path) -> None:
    for number in range(23):
        commit(writer, f"v{number}", input=f"v{number}.mp4")
    run = open_run(tmp_path / RUN_ID)
    assert sum(cell.endswith(".mp4") for cell in cells(run)) == 20
    assert "… and 3 more videos" in run._repr_html_()


@pytest.mark.usefixtures("writer")
def test_a_run_without_rows_and_a_damaged_one_say_so(tmp_path: Path) -> None:
    run = open_run(tmp_path / RUN_ID)
    assert "incomplete" in run._repr_html_()
    assert "no video is committed" in run._repr_html_()
    (tmp_path / RUN_ID / "commits").mkdir(exist_ok=True)
    (tmp_path / RUN_ID / "commits" / "00000000.json").write_text("{")
    assert "<td>" not in open_run(tmp_path / RUN_ID)._repr_html_()
