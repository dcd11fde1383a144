"""What is relied on of Ray Data: references instead of bytes, blocks that leave early, rows in order, waves of entries."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
import ray

from batches import WELL
from numbered_clips import numbered_clip
from rumiai_ray.config import load_config
from rumiai_ray.engine.setup.run_setup import fetch_limits, open_store, thresholds
from rumiai_ray.engine.work import ray_data_source as dataset
from rumiai_ray.engine.work.entry_reader import Stage
from rumiai_ray.engine.work.entry_registry import Claims
from rumiai_ray.engine.work.item import decode
from rumiai_ray.engine.work.ray_data_source import RayDataSource, ReadPolicy
from rumiai_ray.errors import StorageError
from rumiai_ray.ingest.entries import Entry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from rumiai_ray.engine.ray_session.local import LocalRay

POLICY = ReadPolicy(tasks=1, cells=1, attempts=2, timeout_s=60)


@pytest.fixture
def stage(ray_here: LocalRay, tmp_path: Path) -> Stage:
    assert ray_here
    config = load_config(flags={"store": str(tmp_path / "store")})
    return Stage("r", WELL, open_store(config), fetch_limits(config), tmp_path / "work", 16, thresholds(config))


@dataclass
class Taken:
    entry_ids: list[str]
    waves: list[int]


def take_all(stage: Stage, entries: Sequence[Entry], policy: ReadPolicy = POLICY) -> Taken:
    """Run a stream to its end; the entries name no files, so each gives one row, a dead letter."""
    claims: Any = ray.remote(num_cpus=0)(Claims).remote({})
    waves: list[int] = []
    stream = RayDataSource(entries, stage, claims, policy, lambda wave: waves.append(len(wave)))
    taken = []
    while not stream.ended:
        for row in stream.take(0.1):
            reference, position = row.placed()
            assert isinstance(reference, ray.ObjectRef)
            taken.append(decode(ray.get(reference), position).entry_id)
    return Taken(taken, waves)


def missing(number: int) -> Entry:
    return Entry(f"e{number}", f"/nowhere/{number}.mp4", {}, f"/nowhere/{number}.mp4")


def test_every_entry_comes_once_and_in_order_in_however_many_waves(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "_WAVE", 20)
    entries = [missing(number) for number in range(50)]
    taken = take_all(stage, entries)
    assert taken.waves == [20, 20, 10]
    assert taken.entry_ids == [entry.entry_id for entry in entries]


def test_the_driver_has_the_rows_that_ask_nothing_of_a_model_and_only_references_of_the_others(stage: Stage, tmp_path: Path) -> None:
    clip = numbered_clip(tmp_path / "clip.mkv", 7)
    claims: Any = ray.remote(num_cpus=0)(Claims).remote({})
    entries = [missing(1), Entry("clip", str(clip), {}, str(clip)), Entry("copy", str(clip), {}, str(clip)), missing(2)]
    stream = RayDataSource(entries, stage, claims, POLICY, lambda _: None)
    known: dict[str, str | None] = {}
    while not stream.ended:
        for row in stream.take(0.1):
            there = decode(ray.get(row.block), row.row)
            known[there.entry_id] = row.work.kind if row.work is not None else None
            assert row.work is None or row.work.header == there.header
    assert known == {"e1": "none", "clip": None, "copy": "none", "e2": "none"}


def test_a_manifest_is_read_no_further_than_the_wave(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "_WAVE", 4)
    read = count()
    claims: Any = ray.remote(num_cpus=0)(Claims).remote({})

    def entries() -> Iterator[Entry]:
        while True:
            yield missing(next(read))

    stream = RayDataSource(entries(), stage, claims, POLICY, lambda _: None)
    while not stream.take(0.1):
        assert not stream.ended
    stream.stop()
    assert next(read) <= 4 * (dataset._AHEAD + 3)


def test_what_breaks_the_store_ends_the_stream_with_its_own_error(stage: Stage, tmp_path: Path) -> None:
    clip = numbered_clip(tmp_path / "clip.mkv", 7)
    shutil.rmtree(stage.store.root)
    stage.store.root.write_text("in the way")
    with pytest.raises(StorageError, match="store"):
        take_all(stage, [Entry("e", str(clip), {}, str(clip))])
