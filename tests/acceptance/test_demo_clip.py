"""What the product makes of the demo clip, which needs nothing but installed packages: a clone without any real media runs these."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from known_clips import SEVEN
from product import analyse, rumiai_ray
from rumiai_ray.cli.demo.clip import CAPTION_BOTTOM_PX, CAPTION_TOP_PX, DURATION_S, FPS, HEIGHT_PX, SCENE_FRAMES, SCENE_S, SCENES, WIDTH_PX
from rumiai_ray.runs.reader import open_run
from sameness import differences
from text_metrics import best_reading, word_error_rate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from product import Ran

ALL = pytest.mark.model(*SEVEN)
CLIP = "demo.mp4"


def _in_scene(number: int) -> Callable[[dict[str, Any]], bool]:
    """Whether a row lies in a scene, by its `time_s`; a tenth of a second at either end is nobody's."""
    return lambda row: number * SCENE_S + 0.1 <= row["time_s"] <= (number + 1) * SCENE_S - 0.1


def _frames_with(rows: list[dict[str, Any]], number: int) -> set[int]:
    return {row["frame_index"] for row in filter(_in_scene(number), rows)}


def _seen(run: Ran, model: str, number: int) -> set[int]:
    """The scene's frames that a model saw."""
    (row,) = [row for row in run.rows("analyses", CLIP) if row["model_name"] == model]
    times = {sampled: sampled / run.rows("videos", CLIP)[0]["sampling_fps"] for sampled in row["frames_seen"]}
    return {sampled for sampled, time_s in times.items() if _in_scene(number)({"time_s": time_s})}


@ALL
def test_every_model_and_signal_is_ok_and_the_run_is_complete(demo_run: Ran) -> None:
    assert demo_run.code == 0, demo_run.stderr
    assert {name: model["status"] for name, model in demo_run.video(CLIP)["models"].items()} == dict.fromkeys(SEVEN, "ok")
    assert demo_run.document["status"] == "complete"
    assert demo_run.run.verify() == []


def test_the_facts_of_the_video_are_those_it_was_made_with(demo_run: Ran) -> None:
    (video,) = demo_run.rows("videos", CLIP)
    assert (video["width_px"], video["height_px"], video["fps"]) == (WIDTH_PX, HEIGHT_PX, pytest.approx(FPS))
    assert video["duration_s"] == pytest.approx(DURATION_S, abs=0.05)
    assert video["frames_decoded"] == SCENE_FRAMES * len(SCENES)


@pytest.mark.model("shots")
def test_the_three_scenes_are_three_shots(demo_run: Ran) -> None:
    rows = demo_run.rows("shots", CLIP)
    assert [row["start_s"] for row in rows] == pytest.approx([number * SCENE_S for number in range(len(SCENES))], abs=0.1)


@pytest.mark.model("ocr")
@pytest.mark.parametrize("number", range(len(SCENES)))
def test_each_caption_is_read_in_its_scene_and_in_no_other(demo_run: Ran, number: int) -> None:
    strip = [row for row in demo_run.rows("texts", CLIP) if CAPTION_TOP_PX < (row["y1"] + row["y2"]) / 2 < CAPTION_BOTTOM_PX]
    readings = [[row["text"] for row in sorted(filter(_in_scene(scene), strip), key=lambda row: row["x1"])] for scene in range(len(SCENES))]
    rates = [best_reading(SCENES[number].caption, texts) if texts else 1.0 for texts in readings]
    assert rates[number] <= 0.15, readings
    assert min(rate for scene, rate in enumerate(rates) if scene != number) > 0.3, readings


@pytest.mark.model("ocr", "whisper", "shots")
def test_hook_and_closing_each_have_the_one_caption_that_is_shown_in_them(demo_run: Ran) -> None:
    windows = {row["name"]: row for row in demo_run.rows("windows", CLIP)}
    assert [windows[name]["overlay_unique_count"] for name in ("hook", "closing")] == [1, 1]


@pytest.mark.model("whisper")
def test_the_sentences_are_heard_each_in_its_scene(demo_run: Ran) -> None:
    words = demo_run.rows("words", CLIP)
    for number, scene in enumerate(SCENES):
        heard = " ".join(word["word"] for word in words if int((word["start_s"] + word["end_s"]) / 2 / SCENE_S) == number)
        assert word_error_rate(scene.sentence, heard) <= 0.35, heard


@pytest.mark.model("mediapipe")
@pytest.mark.parametrize("number", [0, 2])
def test_the_man_and_the_astronaut_have_a_face_throughout(demo_run: Ran, number: int) -> None:
    seen = _seen(demo_run, "mediapipe", number)
    assert len(_frames_with(demo_run.rows("faces", CLIP), number) & seen) >= 0.9 * len(seen) > 0


@pytest.mark.model("yolo")
def test_the_bus_and_the_people_before_it_are_seen(demo_run: Ran) -> None:
    seen = _seen(demo_run, "yolo", 1)
    for label in ("bus", "person"):
        rows = [row for row in demo_run.rows("objects", CLIP) if row["label"] == label]
        assert len(_frames_with(rows, 1) & seen) >= 0.8 * len(seen) > 0, label


@pytest.mark.model("emotion")
def test_the_astronaut_smiles(demo_run: Ran) -> None:
    rows = [row for row in demo_run.rows("emotions", CLIP) if row["is_largest"] and _in_scene(2)(row)]
    assert rows
    assert {row["dominant_emotion"] for row in rows} == {"happiness"}


@pytest.mark.model("sound")
def test_the_sound_is_loud_where_a_sentence_is_spoken(demo_run: Ran) -> None:
    windows = {row["name"]: row for row in demo_run.rows("windows", CLIP)}
    assert windows["video"]["energy_level"] > 0.01
    assert windows["video"]["speech_coverage"] > 0.3
    assert windows["video"]["shot_count"] == len(SCENES)


@ALL
def test_a_batch_gives_the_rows_of_the_interactive_run(demo_run: Ran, demo_clip: Path, workplace: Path) -> None:
    manifest = workplace / "demo.csv"
    manifest.write_text(f"id,input\ndemo,{demo_clip}\n")
    places = ("--store", workplace / "store", "--out", workplace / "runs")
    ended = rumiai_ray("batch", "--profile", "offline", "--manifest", manifest, "--run-id", "demo-batch", *places, cwd=workplace)
    assert ended.code == 0, ended.stderr
    (entry,) = {row["entry_id"] for row in demo_run.run.table("videos", ["entry_id"]).to_pylist()}
    assert differences(open_run(workplace / "runs" / "demo-batch"), "demo", demo_run.run, entry) == []


@pytest.mark.model("yolo")
def test_a_second_run_takes_its_frames_from_the_store_and_computes_anew(demo_run: Ran, demo_clip: Path, workplace: Path) -> None:
    again = analyse(workplace, [demo_clip], "--models", "yolo")
    assert (demo_run.video(CLIP)["frame_store"], again.video(CLIP)["frame_store"]) == ("miss", "hit")
    assert again.document["run_id"] != demo_run.document["run_id"]
    first, second = (
        [{key: value for key, value in row.items() if key not in {"run_id", "track_id"}} for row in ran.rows("objects", CLIP)]
        for ran in (demo_run, again)
    )
    assert first == second
