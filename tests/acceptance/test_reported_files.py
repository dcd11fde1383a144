"""Every media file made after a public report, in one run of the product: its tables give each answer of `../shared/reported/MANIFEST.tsv`.

`ANSWERS` repeats each answer word for word and says what of the run shows it. A test holds the words to the file's, so that none is left
out. What `MANIFEST.tsv` says the product did wrong ("product …") is no answer; where an answer allows a refusal, the analysis is asked for.

The manifests of posts are no media files. These tests show their answers:

trailing_empty_rows.csv: tests/ingest/test_reported_manifests.py::test_a_reported_manifest_gives_its_one_entry
spaces_around_cells.csv: tests/ingest/test_reported_manifests.py::test_blanks_around_the_cells_of_a_reported_manifest_are_no_part_of_them
hugefield.csv: tests/ingest/test_reported_manifests.py::test_a_reported_manifest_gives_its_one_entry
cr_only.csv: tests/ingest/test_reported_manifests.py::test_a_reported_manifest_gives_its_one_entry
utf16.csv: tests/ingest/test_reported_manifests.py::test_a_reported_manifest_gives_its_one_entry
decimal_column.parquet: tests/ingest/test_reported_manifests.py::test_a_reported_manifest_gives_its_one_entry
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from once import once
from product import ROOT, Ran, analyse
from quadrants import bgr, colours_in
from rumiai_ray.frames.limits import DecodeLimits
from rumiai_ray.frames.sampling import SamplingSpec
from rumiai_ray.frames.store.store import FrameStore

if TYPE_CHECKING:
    from pathlib import Path

MODELS = ("ocr", "shots", "sound")
"""What the answers are about: texts, cuts, sound. None is about people, things or words that are spoken."""
ELSEWHERE = dict(re.findall(r"^(\S+): (tests/\S+::test_\w+)$", __doc__, re.MULTILINE))
"""The test that shows a file's answer, for those that are shown in no table of a run."""
TONE_RMS = 0.088


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What is right for one file, and what of the run shows it."""

    words: str
    """The answer as `MANIFEST.tsv` gives it."""
    row: dict[str, Any]
    """Columns of `videos`; figures with a fraction to a tenth."""
    status: dict[str, str] = field(default_factory=lambda: dict.fromkeys(MODELS, "ok"))
    """Of each model, in `analyses`."""
    problem: str | None = None
    """What the only one of `media_problems` tells; None where there is none."""
    spans: list[tuple[str, float, float]] | None = None
    """All of `text_spans`: text, start and end in seconds. None where the answer says nothing of texts; likewise below."""
    shots_s: list[tuple[float, float]] | None = None
    """All of `shots`: start and end."""
    covered: dict[str, list[float]] | None = None
    """`text_coverage` of windows by name, and of all rows of `timeline` under that name."""
    sound_s: tuple[float, float] | None = None
    """From where to where `audio_energy` goes; the tone of `TONE_RMS` is in all of it."""
    pictures: list[str] | None = None
    """The colours of the pictures that the run stored, each once, in order; see `quadrants`."""


PICTURES_ONLY = {"ocr": "empty", "shots": "ok", "sound": "skipped"}
TEXT_ONLY = {"ocr": "ok", "shots": "ok", "sound": "skipped"}
ANSWERS = {
    "hold_text_6s.mp4": Answer(
        words="text_spans PRICE LIST 0.0-6.0; text_coverage 1.0 in hook and in the seconds 0-5; 1 cut at 6.0 s",
        row={"frames_decoded": 61, "duration_s": 9.0},
        status=TEXT_ONLY,
        spans=[("PRICE LIST", 0.0, 6.0)],
        shots_s=[(0.0, 6.0), (6.0, 9.0)],
        covered={"hook": [1.0], "timeline": [1.0] * 6 + [0.0] * 3},
    ),
    "mirrored_hflip_matrix.mp4": Answer(
        words="shown as G R / W B (ffmpeg CLI); product W B / G R",
        row={"rotation_deg": 0, "mirrored": True},
        status=PICTURES_ONLY,
        pictures=["GRWB"],
    ),
    "grid_4x3_tiles.heic": Answer(
        words="2048x1536 R G / B W, or a refusal; never one tile 512x512",
        row={"width_px": 2048, "height_px": 1536, "frames_decoded": 1},
        status=PICTURES_ONLY,
        pictures=["RGBW"],
    ),
    "trim_tail_elst.mp4": Answer(
        words="50 frames (ffprobe -count_frames), nothing lost, status ok",
        row={"frames_decoded": 50, "duration_s": 2.0, "audio_duration_s": 2.0},
        shots_s=[(0.0, 2.0)],
        sound_s=(0.0, 2.0),
    ),
    "phase_inverted_tone.mp4": Answer(
        words="audible: rms of a channel (~0.088), not silent",
        row={"audio_layout": "stereo"},
        sound_s=(0.0, 4.0),
    ),
    "two_tracks_second_default.mkv": Answer(
        words="the default track (ffmpeg CLI, libav best)",
        row={"audio_streams": 2, "audio_stream": 1},
        sound_s=(0.0, 4.0),
    ),
    "video_starts_3s_late.mkv": Answer(
        words="complete, nothing lost",
        row={"frames_decoded": 75, "origin_s": 3.0, "duration_s": 3.0, "audio_duration_s": 6.0},
        shots_s=[(0.0, 3.0)],
        sound_s=(-3.0, 3.0),
    ),
    "ts_jump_to_4000s.ts": Answer(
        words="6 s (ffmpeg CLI re-encode: about 6 s); not refused",
        row={"frames_decoded": 150, "duration_s": 6.0, "audio_duration_s": 6.0},
        problem=r"timestamps jump ahead by 397\d\.\d s .*the gap was closed",
        sound_s=(0.0, 6.0),
    ),
    "ts_jump_100s.ts": Answer(
        words="6 s, or the jump told for the pictures too; product 107 s and 101 s of silence",
        row={"frames_decoded": 150, "duration_s": 6.0, "audio_duration_s": 6.0},
        problem=r"timestamps jump ahead by 10\d\.\d s .*the gap was closed",
        sound_s=(0.0, 6.0),
    ),
    "transparent_text.png": Answer(
        words="text readable (on white): HELLO WORLD; product a black picture",
        row={"frames_decoded": 1},
        status=TEXT_ONLY,
        spans=[("HELLO WORLD", 0.0, 0.04)],
        covered={"hook": [1.0], "timeline": [1.0]},
        pictures=["WWWW"],
    ),
    "animated_3_frames.webp": Answer(
        words="3 frames, or a message that says animated WebP is not supported (file is intact)",
        row={"frames_decoded": 3, "frames_sampled": 3, "duration_s": 1.5},
        status=PICTURES_ONLY,
        pictures=["RRRR", "GGGG", "BBBB"],
    ),
}


@pytest.fixture(scope="session")
def reports(reported: Path, weights: str, workplace: Path) -> Ran:
    """Every media file of the folder, in one run."""
    del weights
    files = sorted(reported / row["file"] for row in _manifest(reported) if row["file"] not in ELSEWHERE)
    ran = once(workplace / "reported.ran", lambda: analyse(workplace, files, "--models", ",".join(MODELS)))
    assert ran.stdout, ran.stderr
    return ran


def _manifest(reported: Path) -> list[dict[str, str]]:
    with (reported / "MANIFEST.tsv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def test_no_answer_of_the_manifest_is_left_out(reported: Path) -> None:
    answers = {row["file"]: row["right answer"] for row in _manifest(reported)}
    assert {name: answer.words for name, answer in ANSWERS.items()} == {name: answers[name] for name in answers if name not in ELSEWHERE}
    assert ELSEWHERE.keys() == answers.keys() - ANSWERS.keys()
    for name, test in ELSEWHERE.items():
        file, _, function = test.partition("::")
        source = (ROOT / file).read_text(encoding="utf-8")
        assert f"def {function}(" in source, test
        assert f'"{name}"' in source, test


@pytest.mark.model(*MODELS)
def test_the_run_over_all_reported_files_is_complete(reports: Ran) -> None:
    assert reports.code == 0, reports.stderr
    assert reports.document["status"] == "complete"
    assert sorted(row["input"].rpartition("/")[2] for row in reports.run.table("videos").to_pylist()) == sorted(ANSWERS)
    assert reports.run.verify() == []


@pytest.mark.model(*MODELS)
@pytest.mark.parametrize("name", ANSWERS)
def test_the_tables_give_the_right_answer_for_a_reported_file(reports: Ran, workplace: Path, name: str) -> None:
    answer = ANSWERS[name]
    (video,) = reports.rows("videos", name)
    for column, right in answer.row.items():
        assert video[column] == (pytest.approx(right, abs=0.1) if isinstance(right, float) else right), column
    assert [bool(re.fullmatch(answer.problem or "", told)) for told in video["media_problems"]] == [True] * bool(answer.problem)
    assert {row["model_name"]: row["status"] for row in reports.rows("analyses", name)} == answer.status
    if answer.spans is not None:
        found = [(row["text"], row["start_s"], row["end_s"]) for row in reports.rows("text_spans", name)]
        assert found == [(text, pytest.approx(start_s, abs=0.02), pytest.approx(end_s, abs=0.02)) for text, start_s, end_s in answer.spans]
    if answer.shots_s is not None:
        found_s = [(row["start_s"], row["end_s"]) for row in reports.rows("shots", name)]
        assert found_s == [pytest.approx(shot_s, abs=0.02) for shot_s in answer.shots_s]
    for where, shares in (answer.covered or {}).items():
        rows = reports.rows("timeline", name) if where == "timeline" else [_window(reports, name, where)]
        assert [row["text_coverage"] for row in rows] == pytest.approx(shares)
    if answer.sound_s is not None:
        energy = reports.rows("audio_energy", name)
        assert (energy[0]["start_s"], energy[-1]["end_s"]) == pytest.approx(answer.sound_s, abs=0.1)
        whole = _window(reports, name, "video")
        assert (whole["energy_level"], whole["silence_share"]) == pytest.approx((TONE_RMS, 0.0), abs=0.005)
        assert [row["silence_share"] for row in reports.rows("timeline", name)] == pytest.approx(
            [0.0] * len(reports.rows("timeline", name))
        )
    else:
        assert reports.video("/" + name)["models"]["sound"]["detail"] == "no audio stream"
    if answer.pictures is not None:
        assert _pictures(workplace, video["frames_key"]) == answer.pictures


def _window(reports: Ran, name: str, window: str) -> dict[str, Any]:
    (row,) = [row for row in reports.rows("windows", name) if row["name"] == window]
    return row


def _pictures(workplace: Path, key: str) -> list[str]:
    """The colours of the pictures that the run stored of a video and its models saw, each once, in order."""
    store = FrameStore(workplace / "store", spec=SamplingSpec(), limits=DecodeLimits())
    with store.open(key) as stored:
        return list(dict.fromkeys(colours_in(bgr(jpeg)) for batch in stored.batches() for jpeg in batch.jpegs))
