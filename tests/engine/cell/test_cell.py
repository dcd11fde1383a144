"""Cells of fake models on a real Ray: what comes back, and what a misbehaving model costs."""

from __future__ import annotations

import dataclasses
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest
import ray

from fakes import plan
from rumiai_ray.engine.cell.dispatcher import Dispatcher, Done, WorkRow
from rumiai_ray.engine.work.arrow_ipc import unpack
from rumiai_ray.engine.work.item import Work, encode
from works import audio_work, frames_work

if TYPE_CHECKING:
    from collections.abc import Callable

    from rumiai_ray.engine.cell.cell import Cell
    from rumiai_ray.engine.cell.lane_policy import LanePolicy

    StartCell = Callable[..., Cell]


def _answers(cell: Cell, works: list[Work], *, in_flight: int = 3) -> dict[tuple[str, int], Done]:
    dispatcher = Dispatcher(cell.front, in_flight=in_flight, attempts=3, patience_s=120)
    for work in works:
        dispatcher.submit(WorkRow(ray.put(encode([work]))))
    done: dict[tuple[str, int], Done] = {}
    while dispatcher.open:
        done |= {(one.index.video_key, one.index.batch_index): one for one in dispatcher.collect() if one.index}
    return done


def _rows(done: Done, model: str, table: str = "seen") -> list[dict[str, Any]]:
    payload: Any = ray.get(done.payload)
    return unpack(payload[model][table]).to_pylist()


def _outcome(done: Done, model: str) -> Any:
    assert done.index is not None
    return done.index.outcomes[model]


def test_each_model_sees_exactly_the_frames_it_was_to_see(start_cell: StartCell) -> None:
    cell = start_cell(plan("a"), plan("b"), plan("ears", "Listener"))
    works = [
        frames_work([10, 20, 30, 40], {"a": (0, 1, 2, 3), "b": (1, 3)}, count=2),
        audio_work(77, ("ears",), index=1, count=2),
    ]
    done = _answers(cell, works)
    assert [row["number"] for row in _rows(done["v", 0], "a")] == [10, 20, 30, 40]
    assert [(row["frame_index"], row["number"]) for row in _rows(done["v", 0], "b")] == [(1, 20), (3, 40)]
    assert [row["number"] for row in _rows(done["v", 1], "ears", "heard")] == [77]
    assert _outcome(done["v", 0], "b").frames == (1, 3)
    assert _outcome(done["v", 1], "ears").audio_s == pytest.approx(0.1)


_ENDS = {"raise": "ValueError", "exit": "Crash", "segfault": "Crash", "lie": "ModelError", "unloadable": "ValueError"}
"""How each misbehaviour must be reported; all of them live in one cell, beside a model that behaves."""


def test_models_that_misbehave_on_one_video_cost_only_their_own_rows_of_that_video(start_cell: StartCell, policy: LanePolicy) -> None:
    behaviours = [plan(behave, behave=behave, on=-1 if behave == "lie" else 50) for behave in _ENDS]
    cell = start_cell(plan("good"), *behaviours, policy=dataclasses.replace(policy, attempts=2))
    everyone = dict.fromkeys(("good", *_ENDS), (0,))
    done = _answers(cell, [frames_work([number], everyone, video_key=f"v{number}") for number in (10, 50, 90)])
    assert [_rows(done[f"v{number}", 0], "good")[0]["number"] for number in (10, 50, 90)] == [10, 50, 90]
    for behave, error_class in _ENDS.items():
        assert _outcome(done["v50", 0], behave).failure.error_class == error_class, behave
    for behave in ("raise", "exit", "segfault"):
        assert _outcome(done["v50", 0], behave).attempts == 2
        innocent = [_outcome(done[f"v{number}", 0], behave) for number in (10, 90)]
        assert [(one.failure, one.attempts) for one in innocent] == [(None, 1), (None, 1)], f"{behave}: innocents must not be charged"
    assert _outcome(done["v10", 0], "unloadable").failure.message == "weights are not to my taste"


def test_a_call_that_outruns_its_limit_is_killed_charged_and_the_next_video_is_answered(start_cell: StartCell, policy: LanePolicy) -> None:
    cell = start_cell(plan("slow", behave="hang", on=50), policy=dataclasses.replace(policy, call_timeout_s=8.0, attempts=1))
    done = _answers(cell, [frames_work([number], {"slow": (0,)}, video_key=f"v{number}") for number in (50, 90)])
    assert _outcome(done["v50", 0], "slow").failure.error_class == "Hang"
    assert (_outcome(done["v90", 0], "slow").failure, _outcome(done["v90", 0], "slow").attempts) == (None, 1)


def test_a_video_that_killed_its_model_is_not_shown_to_it_again(start_cell: StartCell, policy: LanePolicy) -> None:
    cell = start_cell(plan("bad", behave="exit", on=50), policy=dataclasses.replace(policy, attempts=1))
    first = _answers(cell, [frames_work([50], {"bad": (0,)}, count=2)])
    second = _answers(cell, [frames_work([60], {"bad": (0,)}, index=1, count=2)])
    assert _outcome(first["v", 0], "bad").failure.error_class == "Crash"
    assert _outcome(second["v", 1], "bad").failure.error_class == "Crash"


def test_several_actors_of_a_model_share_its_calls(start_cell: StartCell) -> None:
    cell = start_cell(plan("slow", behave="burn", actors=3))
    works = [frames_work([number], {"slow": (0,)}, video_key=f"v{number}") for number in range(10, 130, 10)]
    done = _answers(cell, works, in_flight=6)
    rows = {key: _rows(one, "slow")[0] for (key, _), one in done.items()}
    assert {key: row["number"] for key, row in rows.items()} == {f"v{number}": number for number in range(10, 130, 10)}
    assert len({row["pid"] for row in rows.values()}) == 3


def test_a_video_that_one_actor_has_failed_for_good_is_not_tried_on_the_others(start_cell: StartCell) -> None:
    cell = start_cell(plan("picky", behave="raise", on=50, actors=2))
    bad = [frames_work([50], {"picky": (0,)}, video_key="bad", index=index, count=6) for index in range(6)]
    outcomes = [_outcome(_answers(cell, [work])["bad", work.batch_index], "picky") for work in bad]
    assert [outcome.failure.error_class for outcome in outcomes] == ["ValueError"] * 6
    assert [outcome.attempts for outcome in outcomes] == [3, 1, 1, 1, 1, 1]


def test_an_actor_killed_from_outside_between_calls_costs_nothing(start_cell: StartCell) -> None:
    cell = start_cell(plan("a"))
    before = _answers(cell, [frames_work([10], {"a": (0,)}, video_key="one")])
    pid = _rows(before["one", 0], "a")[0]["pid"]
    os.kill(pid, signal.SIGKILL)
    after = _answers(cell, [frames_work([20], {"a": (0,)}, video_key="two")])
    assert _rows(after["two", 0], "a")[0]["number"] == 20
    assert _rows(after["two", 0], "a")[0]["pid"] != pid


def test_a_killed_front_loses_no_row(start_cell: StartCell) -> None:
    cell = start_cell(plan("a"))
    works = [frames_work([number], {"a": (0,)}, video_key=f"v{number}") for number in range(10, 130, 10)]
    dispatcher = Dispatcher(cell.front, in_flight=3, attempts=3, patience_s=60)
    for work in works:
        dispatcher.submit(WorkRow(ray.put(encode([work]))))
    ray.kill(cell.front, no_restart=False)
    numbers = []
    while dispatcher.open:
        numbers += [_rows(done, "a")[0]["number"] for done in dispatcher.collect()]
    assert sorted(numbers) == list(range(10, 130, 10))


def test_a_leaking_actor_is_recycled_between_calls_and_nobody_is_charged(start_cell: StartCell, policy: LanePolicy) -> None:
    cell = start_cell(plan("leaky", behave="leak"), policy=dataclasses.replace(policy, memory_bytes=400_000_000))
    works = [frames_work([number], {"leaky": (0,)}, video_key=f"v{number}") for number in range(10, 90, 8)]
    done = _answers(cell, works)
    pids = {_rows(one, "leaky")[0]["pid"] for one in done.values()}
    assert len(pids) > 1, "the actor was never recycled"
    assert {(_outcome(one, "leaky").failure, _outcome(one, "leaky").attempts) for one in done.values()} == {(None, 1)}
