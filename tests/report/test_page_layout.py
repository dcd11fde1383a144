"""Pages at the width of a desktop: nothing is cut off, pictures use the room, and the run's page and a video's page agree."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from chromium import evaluated
from report_run import analysis_row, insight_rows, plain_rows, text_row, video_row, word_rows, write_run
from rumiai_ray.report.write import ReportSize, write_report, write_video

if TYPE_CHECKING:
    from pathlib import Path

    from report_run import Analysed

DESKTOP_PX = (1400, 900)
CUT_OFF = """[...document.querySelectorAll('details')].forEach((one) => { one.open = true; });
[...document.querySelectorAll('.scroll')].filter((one) => one.scrollWidth > one.clientWidth)
  .map((one) => `${one.getAttribute('aria-label')}: ${one.scrollWidth} of ${one.clientWidth}`)"""


def long_rows() -> dict[str, list[dict[str, Any]]]:
    """Rows of a video of which everything that can be long is: names, backends, a model's message, and every insight."""
    name = "2026-11-28_the-creator-with-a-long-name_7318264015920371974_how-to-fold-a-fitted-sheet.mp4"
    models = ("mediapipe", "yolo", "ocr", "shots", "sound")
    backends = {"ocr": "ppocr/v6-small", "yolo": "ultralytics/yolo11n-openvino-int8", "sound": "numpy/rms+praat/autocorrelation"}
    analyses = [
        analysis_row(model, "degraded", backend=backends.get(model, "mediapipe/tasks"), model_version="8.4.190", stand_in=True,
                     precision="fp16 weights, fp32 arithmetic", detail="12 of 100 frames answered; 3 texts are not readable in this script")
        for model in models
    ]  # fmt: skip
    late = "no answer within 120 s, which the setting engine.model_timeout_s allows, after 3 attempts"
    backend = "fer/mini-xception+mediapipe-faces"
    failed: dict[str, Any] = {"error_class": "ModelTimeoutError", "error_message": late, "processing_time_s": None}
    analyses.append(analysis_row("emotion", "failed", backend=backend, **failed))
    rows: dict[str, list[dict[str, Any]]] = (
        plain_rows() | insight_rows() | {"analyses": analyses, "videos": [video_row("clip", input=f"posts/{name}")]}
    )
    rows["texts"] = [text_row(0, "A caption that takes the whole width of the picture and goes on in a second and a third line of it")]
    del rows["emotions"]
    return rows


@pytest.mark.parametrize("page", ["index", "video"])
def test_no_table_is_cut_off_on_a_desktop(page: str, tmp_path: Path) -> None:
    run = write_run(tmp_path / "runs", {"clip": long_rows(), "other": plain_rows()}, dead=("posts/" + 60 * "x" + ".mp4",))
    index, video = write_report(run, tmp_path / "report", None, ReportSize(pages=1))
    (cut_off,) = evaluated(index if page == "index" else video, CUT_OFF, size_px=DESKTOP_PX)
    assert cut_off == []


def test_the_picture_of_a_landscape_video_uses_the_room(analysed: Analysed, tmp_path: Path) -> None:
    page = write_video(analysed.run, "clip", tmp_path / "page.html", analysed.store)
    box = "(() => {{ const box = document.querySelector('{}').getBoundingClientRect(); return [box.width, box.height]; }})()"
    (picture, main) = evaluated(page, box.format("#screen"), box.format("main"), size_px=DESKTOP_PX)
    assert picture[0] > 0.6 * main[0]
    assert picture[1] <= 0.78 * DESKTOP_PX[1]


@pytest.mark.parametrize("words", [["hello"], ["one", "two", "three", "four", "five"]])
def test_the_runs_page_and_a_videos_page_say_the_same_number_of_words(words: list[str], tmp_path: Path) -> None:
    run = write_run(tmp_path / "runs", {"clip": word_rows(words)})
    index, page = (path.read_text(encoding="utf-8") for path in write_report(run, tmp_path / "report", None))
    table = index.partition('id="videos"')[2]
    columns = re.findall(r'<button type="button">(.*?)</button>', table)
    cells = [re.sub(r"<.*?>", "", cell).strip() for cell in re.findall(r'<td class="number".*?</td>', table, re.DOTALL)]
    transcript = page.partition("<h2>Transcript</h2>")[2].partition("</section>")[0]
    assert cells[columns.index("words") - 2] == str(len(words))
    assert transcript.count('class="word"') == len(words)
    assert f"{len(words)} word{'s' if len(words) > 1 else ''}." in transcript
