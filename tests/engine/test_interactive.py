"""The interactive engine on a warm cell of fakes: every entry ends, everything is computed again in every run."""

from __future__ import annotations

import shutil
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import pytest
import ray

import fakes
from given_cell import GivenCell
from numbered_clips import numbered_clip
from rumiai_ray.config import load_config
from rumiai_ray.engine.interactive import Interactive
from rumiai_ray.engine.setup.run_setup import fetch_limits, open_store, sampling_spec, thresholds
from rumiai_ray.engine.work.entry_reader import Stage
from rumiai_ray.ingest.entries import entries_from_inputs
from rumiai_ray.runs.manifest import RunManifest
from rumiai_ray.runs.reader import Run, open_run
from rumiai_ray.runs.writer import RunWriter
from rumiai_ray.schema.registry import TABLES_BY_NAME
from sound_files import make_sound

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import pyarrow as pa

    from rumiai_ray.engine.cell.cell import Cell
    from rumiai_ray.engine.work.item import VideoPlan
    from rumiai_ray.ingest.entries import Entry
    from rumiai_ray.models.base import ModelPlan

TABLES = {**TABLES_BY_NAME, "seen": fakes.SEEN, "heard": fakes.HEARD}
MODELS = (fakes.plan("reader", "Reader"), fakes.plan("ears", "Listener"))


class _Quiet:
    """A reporter that remembers who ended."""

    def __init__(self) -> None:
        self.ended_ids: list[str] = []

    def stage(self, text: str) -> None:
        assert text

    def planned(self, entry: Entry, plan: VideoPlan) -> None:
        assert entry.entry_id
        assert plan.batch_count or plan.skipped

    def progress(self, video_key: str, model: str, answered: int) -> None:
        assert video_key
        assert model
        assert answered

    def ended(self, entry: Entry, tables: Mapping[str, pa.Table]) -> None:
        assert tables
        self.ended_ids.append(entry.entry_id)


def _run(cell: Cell, place: Path, run_id: str, inputs: list[str], models: tuple[ModelPlan, ...] = MODELS) -> tuple[Run, _Quiet]:
    config = load_config(flags={"store": str(place / "store"), "out": str(place / "runs"), "engine": {"batch_frames": 4}})
    manifest = RunManifest.of_now(run_id, command=["test"], config=config, plans=models, sampling=asdict(sampling_spec(config)))
    manifest = manifest.model_copy(update={"tables": {name: table.version for name, table in TABLES.items()}})
    writer = RunWriter.create(config.out, manifest, TABLES)
    stage = Stage(run_id, models, open_store(config), fetch_limits(config), place, config.engine.batch_frames, thresholds(config))
    reporter = _Quiet()
    engine = Interactive(config, stage, writer, reporter)
    writer.finish(engine.run(entries_from_inputs(inputs), GivenCell(cell)), {})
    return open_run(writer.run.uri()), reporter


def _calls(cell: Cell, model: str) -> int:
    ready: Any = ray.get(cell.actors[model][0].ready.remote())
    return int(ready.calls)


def test_a_good_a_repeated_and_a_broken_input_each_end_once(start_cell: Callable[..., Cell], tmp_path: Path) -> None:
    cell = start_cell(*MODELS)
    clip = numbered_clip(tmp_path / "a.mkv", 42)
    shutil.copy(clip, tmp_path / "b.mkv")
    (tmp_path / "c.mkv").write_bytes(b"nothing of the kind")
    run, reporter = _run(cell, tmp_path, "mixed", [str(tmp_path / name) for name in ("a.mkv", "b.mkv", "c.mkv")])
    assert sorted(reporter.ended_ids) == ["a", "b", "c"]
    assert run.status == "partial"
    assert run.entries() == {"a": "committed", "b": "committed", "c": "dead_lettered"}
    assert {row["number"] for row in run.table("seen").to_pylist()} == {42}
    assert len(run.table("analyses")) == 2
    assert run.verify() == []


def test_signals_see_every_frame_need_no_cpu_and_land_with_the_insights(start_cell: Callable[..., Cell], tmp_path: Path) -> None:
    signals = (replace(fakes.plan("eyes", "Watcher"), cpu_share=0.0), replace(fakes.plan("ears", "Listener"), cpu_share=0.0))
    clip = numbered_clip(tmp_path / "a.mkv", 42, frames=6)
    run, _ = _run(start_cell(*signals), tmp_path, "signals", [str(clip)], signals)
    assert run.table("seen")["frame_index"].to_pylist() == [0, 1, 2, 3, 4, 5]
    by_model = {row["model_name"]: row for row in run.table("analyses").to_pylist()}
    assert [by_model["eyes"][name] for name in ("status", "frames_planned", "frames_analyzed", "frames_seen")] == ["ok", 6, 6, None]
    assert [by_model["ears"][name] for name in ("status", "frames_planned", "frames_seen")] == ["ok", None, None]
    (framing,) = run.table("person_framing").to_pylist()
    assert framing["face_visibility_rate"] is None
    assert "shots: not asked" in framing["not_measured"]
    assert run.table("windows")["name"].to_pylist()[-1] == "video"


def test_a_sound_file_is_heard_and_not_looked_at(start_cell: Callable[..., Cell], tmp_path: Path) -> None:
    models = (*MODELS, fakes.plan("eyes", "Watcher"))
    songs = [make_sound(tmp_path / name, 1.0) for name in ("song.mp3", "memo.m4a", "voice.opus", "take.wav", "post.mp4")]
    run, reporter = _run(start_cell(*models), tmp_path, "songs", [str(song) for song in songs], models)
    names = sorted(song.stem for song in songs)
    assert (run.status, sorted(reporter.ended_ids)) == ("complete", names)
    assert run.entries() == dict.fromkeys(names, "committed")
    assert len(run.table("heard")) == 5
    assert len(run.table("seen")) == 0
    for row in run.table("analyses").to_pylist():
        told = [row[name] for name in ("status", "detail", "frames_planned", "frames_analyzed", "frames_seen", "attempts")]
        if row["model_name"] == "ears":
            assert told == ["ok", None, None, None, None, 1]
            assert row["audio_analyzed_s"] == pytest.approx(1.0, abs=0.1)
        else:
            assert told == ["skipped", "no video stream", None, None, None, 0]
    for video in run.table("videos").to_pylist():
        assert [video[name] for name in ("video_codec", "width_px", "sampling_fps", "frames_sampled")] == [None, None, None, 0]
        assert video["duration_s"] == video["audio_duration_s"] == pytest.approx(1.0, abs=0.1)
    assert set(run.table("windows")["face_visibility_rate"].to_pylist()) == {None}
    assert run.verify() == []


def test_a_sound_file_whose_sound_nobody_listens_to_is_committed(start_cell: Callable[..., Cell], tmp_path: Path) -> None:
    models = (fakes.plan("reader", "Reader"),)
    run, _ = _run(start_cell(*models), tmp_path, "unheard", [str(make_sound(tmp_path / "song.mp3", 1.0))], models)
    assert run.entries() == {"song": "committed"}
    assert [(row["status"], row["detail"]) for row in run.table("analyses").to_pylist()] == [("skipped", "no video stream")]


def test_a_copy_of_a_video_that_cannot_be_assembled_is_buried_with_it(
    start_cell: Callable[..., Cell], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> dict[str, pa.Table]:
        raise ArithmeticError("these rows do not add up")

    monkeypatch.setattr("rumiai_ray.engine.results.assemble.assemble", broken)
    clip = numbered_clip(tmp_path / "a.mkv", 42)
    shutil.copy(clip, tmp_path / "b.mkv")
    run, _ = _run(start_cell(*MODELS), tmp_path, "broken", [str(tmp_path / name) for name in ("a.mkv", "b.mkv")])
    assert run.entries() == {"a": "dead_lettered", "b": "dead_lettered"}
    assert run.table("dead_letter")["error_class"].to_pylist() == ["ArithmeticError"] * 2


def test_a_second_run_on_a_warm_cell_asks_every_model_again(start_cell: Callable[..., Cell], tmp_path: Path) -> None:
    cell = start_cell(*MODELS)
    clip = numbered_clip(tmp_path / "a.mkv", 7, frames=6)
    first, _ = _run(cell, tmp_path, "one", [str(clip)])
    calls = _calls(cell, "reader"), _calls(cell, "ears")
    second, _ = _run(cell, tmp_path, "two", [str(clip)])
    assert calls == (2, 1), "six frames in batches of four, and one stretch of audio"
    assert (_calls(cell, "reader"), _calls(cell, "ears")) == (4, 2)
    assert [run.table("videos")["frame_store"].to_pylist() for run in (first, second)] == [["miss"], ["hit"]]
    assert first.table("seen").drop_columns(["run_id"]).equals(second.table("seen").drop_columns(["run_id"]))


def test_frames_that_another_node_decoded_are_said_to_come_from_the_shared_store(
    start_cell: Callable[..., Cell], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = start_cell(*MODELS)
    clip = numbered_clip(tmp_path / "a.mkv", 7, frames=6)
    for name in ("shared", "one", "two"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("RUMIAI_STORE_REMOTE", str(tmp_path / "shared"))
    runs = [_run(cell, tmp_path / name, name, [str(clip)])[0] for name in ("one", "two")]
    assert [run.table("videos")["frame_store"].to_pylist() for run in runs] == [["miss"], ["remote"]]
    assert runs[0].table("seen").drop_columns(["run_id"]).equals(runs[1].table("seen").drop_columns(["run_id"]))
