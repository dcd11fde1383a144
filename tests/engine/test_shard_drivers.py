"""Two drivers of one run on a real Ray with fake models; one is killed in the middle of it and resumed."""

from __future__ import annotations

import shutil
import threading
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import ray

from batches import Kit, clips
from rumiai_ray.engine.work.shared_claims import ShardClaims
from rumiai_ray.ingest.entries import Entry
from rumiai_ray.ingest.limits import Manners
from rumiai_ray.ingest.manners import Host
from rumiai_ray.runs.reader import open_run
from rumiai_ray.runs.shards import Shard

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rumiai_ray.engine.batch import BatchRun
    from rumiai_ray.engine.ray_session.local import LocalRay
    from rumiai_ray.runs.reader import Run

ONE, TWO = Shard(1, 2), Shard(2, 2)


@pytest.fixture
def kit(ray_here: LocalRay, tmp_path: Path) -> Kit:
    return Kit(ray_here, tmp_path, settings={"group_age_s": 0.1, "cell_cpus": 0.5, "extract_tasks": 1})


class KilledError(Exception):
    """Ends a driver between two steps; nothing of it is written after that."""


def mine(entries: Sequence[Entry], shard: Shard) -> list[Entry]:
    return [entry for entry in entries if shard.has(entry.input)]


def test_a_shard_whose_driver_was_killed_is_resumed_while_the_other_goes_on(kit: Kit) -> None:
    entries = clips(kit.place, 24)
    copied = next(entry for entry in entries if ONE.has(entry.input))
    copy = next(path for number in range(99) if TWO.has(str(path := kit.place / f"copy{number}.mkv")))
    shutil.copy(copied.location, copy)
    entries.append(Entry("copy", str(copy), copied.columns, str(copy)))

    def kill(_batch: BatchRun, done: int) -> None:
        if done:
            raise KilledError

    first, _ = replace(kit, shard=ONE).batch("shared", kill)
    ended: list[str] = []

    def other_driver() -> None:
        batch, writer = replace(kit, shard=TWO).batch("shared", again=True)
        status = batch.run(mine(entries, TWO), len(mine(entries, TWO)))
        writer.finish(status, {})
        ended.append(status)

    other = threading.Thread(target=other_driver)
    other.start()
    try:
        with pytest.raises(KilledError):
            first.run(mine(entries, ONE), len(mine(entries, ONE)))
    finally:
        other.join()
    assert ended == ["complete"]
    run = open_run(kit.place / "runs" / "shared")
    assert run.status == "incomplete"
    in_run = replace(run, shard=ONE).entries()
    assert 0 < len(in_run) < len(mine(entries, ONE)), "killed in the middle"
    left = [entry for entry in mine(entries, ONE) if entry.entry_id not in in_run]
    again, writer = replace(kit, shard=ONE).batch("shared", again=True)
    keys = [str(key) for key in replace(run, shard=ONE).table("videos", ["video_key"])["video_key"].to_pylist()]
    writer.finish(again.run(left, len(left), keys), {})
    check_whole(open_run(kit.place / "runs" / "shared"), entries)


def check_whole(run: Run, entries: Sequence[Entry]) -> None:
    """Every entry once, and the rows of every video once, though one was given to both drivers."""
    assert run.status == "complete"
    assert run.verify() == []
    assert Counter(run.table("videos", ["entry_id"])["entry_id"].to_pylist()) == Counter(entry.entry_id for entry in entries)
    videos = {row["video_key"]: row for row in run.table("videos").to_pylist()}
    assert len(videos) == len(entries) - 1
    seen = run.table("seen").to_pylist()
    assert len(seen) == sum(row["frames_sampled"] for row in videos.values())
    assert all(row["number"] == int(dict(videos[row["video_key"]]["columns"])["number"]) for row in seen)
    assert Counter(run.table("heard", ["video_key"])["video_key"].to_pylist()) == Counter(videos.keys())


def told(claims: ShardClaims, method: str, *args: object, **more: object) -> Any:
    return ray.get(getattr(claims, method).remote(*args, **more))


@pytest.mark.usefixtures("ray_here")
def test_the_limits_of_a_host_hold_for_all_drivers_of_a_run_and_the_last_driver_ends_the_actor() -> None:
    manners, host = Manners(downloads=1), Host("h.example", paced=False)
    first, second = (ShardClaims("/runs/polite", shard, {"known": ""}, manners) for shard in (ONE, TWO))
    assert told(first, "ask_host", host, "e1") == 0.0
    assert told(second, "ask_host", host, "e2") != 0.0, "the only turn is taken, by the other driver"
    assert told(first, "claim", "new", "e1")
    assert told(second, "claim", "new", "e2"), "owners are known by shard"
    assert not told(first, "claim", "known", "e9")
    told(first, "begin", "e1", None, "node")
    assert len(told(first, "take_news").begun) == 1
    assert not told(second, "take_news").begun, "each driver hears of its own readers"
    told(first, "host_ended", host.name, "e1", answered=True)
    assert told(second, "ask_host", host, "e2") == 0.0
    first.leave()
    second.leave()
    fresh = ShardClaims("/runs/polite", ONE, {}, manners)
    assert told(fresh, "ask_host", host, "e3") == 0.0, "an actor of its own"
    fresh.leave()
