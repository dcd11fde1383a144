"""From answers to rows: in order, without holes, and honest about what is missing. No Ray."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

import fakes
from fakes import HEARD, SEEN
from rumiai_ray.config import load_config
from rumiai_ray.engine.cell.messages import Failure, Index, Outcome
from rumiai_ray.engine.results.assemble import assemble
from rumiai_ray.engine.setup.run_setup import thresholds
from rumiai_ray.engine.work.arrow_ipc import pack
from rumiai_ray.engine.work.item import VideoPlan
from rumiai_ray.errors import ModelError

if TYPE_CHECKING:
    import pyarrow as pa

    from rumiai_ray.engine.cell.messages import Payload
    from rumiai_ray.models.base import ModelPlan

EYE, EAR = fakes.plan("eye"), fakes.plan("ear", "Listener")
CRASH = Failure("SIGSEGV", "the actor died")
PLAN = VideoPlan(
    video_key="v", frames={"eye": 4}, audio=("ear",), skipped={}, lost_video=(), lost_audio=(), batch_count=3, sampled=fakes.SAMPLED
)
"""One stretch of audio, then two batches of two frames."""


def saw(*frames: int, **changes: Any) -> Outcome:
    outcome = Outcome(attempts=1, processing_time_s=0.5, rows=len(frames), frames=frames, audio_s=0.0, missed=(), failure=None)
    return replace(outcome, **changes)


def heard(**changes: Any) -> Outcome:
    return replace(saw(), rows=1, audio_s=60.0, **changes)


def failed(attempts: int = 3) -> Outcome:
    return saw(failure=CRASH, processing_time_s=None, attempts=attempts)


def seen_rows(*frames: int) -> dict[str, bytes]:
    return {"seen": pack(SEEN.rows([{"frame_index": at, "time_s": at / 5, "number": 10 * at, "pid": 1} for at in frames]))}


def heard_rows(number: int) -> dict[str, bytes]:
    return {"heard": pack(HEARD.rows([{"number": number, "pid": 1}]))}


def answer(number: int, outcomes: dict[str, Outcome], payload: Payload, *, video_key: str = "v", count: int = 3) -> tuple[Index, Payload]:
    return Index("entry", video_key, number, count, outcomes), payload


SOUND = answer(0, {"ear": heard()}, {"ear": heard_rows(7)})
FIRST = answer(1, {"eye": saw(0, 1)}, {"eye": seen_rows(0, 1)})
LAST = answer(2, {"eye": saw(2, 3)}, {"eye": seen_rows(2, 3)})


def analyses(tables: dict[str, pa.Table]) -> dict[str, dict[str, Any]]:
    return {row["model_name"]: row for row in tables["analyses"].to_pylist()}


def run(
    *answers: tuple[Index, Payload], plan: VideoPlan = PLAN, models: tuple[ModelPlan, ...] = (EYE, EAR)
) -> tuple[dict[str, pa.Table], dict[str, dict[str, Any]]]:
    tables = assemble("run-1", plan, models, answers, thresholds(load_config()))
    return tables, analyses(tables)


def test_rows_come_in_the_video_s_order_whatever_the_order_of_the_answers() -> None:
    tables, by_model = run(LAST, SOUND, FIRST)
    assert tables["seen"].column("number").to_pylist() == [0, 10, 20, 30]
    assert tables["heard"].column("number").to_pylist() == [7]
    assert by_model["eye"]["frames_seen"] == [0, 1, 2, 3]


def test_every_row_carries_the_run_and_the_video() -> None:
    tables, _ = run(SOUND, FIRST, LAST)
    for table in tables.values():
        assert set(table.column("run_id").to_pylist()) == ({"run-1"} if table.num_rows else set())
        assert set(table.column("video_key").to_pylist()) == ({"v"} if table.num_rows else set())
    assert {name for name, table in tables.items() if table.num_rows} >= {"seen", "heard", "analyses", "person_framing", "windows"}


def test_a_whole_video_is_ok_and_adds_up_across_batches() -> None:
    _, by_model = run(SOUND, FIRST, LAST)
    eye, ear = by_model["eye"], by_model["ear"]
    assert (eye["status"], eye["detail"], eye["rows"], eye["frames_planned"], eye["frames_analyzed"]) == ("ok", None, 4, 4, 4)
    assert (eye["processing_time_s"], eye["audio_analyzed_s"]) == (1.0, None)
    assert (ear["status"], ear["rows"], ear["audio_analyzed_s"]) == ("ok", 1, 60.0)
    assert (ear["frames_planned"], ear["frames_analyzed"], ear["frames_seen"]) == (None, None, None)


def test_what_a_model_did_otherwise_at_no_loss_is_said_and_leaves_it_ok() -> None:
    note = "GPU memory ran out: frames were done 1 at a time at most"
    first, last = (answer(number, {"eye": saw(*at, notes=(note,))}, {"eye": seen_rows(*at)}) for number, at in ((1, (0, 1)), (2, (2, 3))))
    _, by_model = run(SOUND, first, last)
    assert (by_model["eye"]["status"], by_model["eye"]["detail"]) == ("ok", note)


@pytest.mark.parametrize(
    "answers",
    [
        (SOUND, FIRST),
        (SOUND, LAST),
        (SOUND, FIRST, FIRST, LAST),
        (SOUND, FIRST, LAST, answer(3, {}, {})),
        (SOUND, FIRST, answer(2, {"eye": saw(2, 3)}, {"eye": seen_rows(2, 3)}, video_key="another")),
        (),
    ],
)
def test_a_hole_a_repeat_or_a_stranger_among_the_answers_is_refused(answers: tuple[tuple[Index, Payload], ...]) -> None:
    with pytest.raises(ModelError, match="exactly once"):
        run(*answers)


def test_a_model_that_failed_on_one_batch_gives_no_rows_at_all_and_the_others_stay_whole() -> None:
    tables, by_model = run(SOUND, FIRST, answer(2, {"eye": failed()}, {}))
    assert "seen" not in tables
    eye = by_model["eye"]
    assert (eye["status"], eye["rows"], eye["attempts"]) == ("failed", 0, 3)
    assert (eye["error_class"], eye["error_message"]) == ("SIGSEGV", "the actor died")
    assert by_model["ear"]["status"] == "ok"
    assert tables["heard"].num_rows == 1


def test_a_model_that_never_answered_has_no_time_rather_than_none_at_all() -> None:
    _, by_model = run(SOUND, answer(1, {"eye": failed()}, {}), answer(2, {"eye": failed()}, {}))
    assert by_model["eye"]["processing_time_s"] is None


def test_a_skipped_model_says_why_and_gives_no_rows() -> None:
    silent = replace(PLAN, audio=(), skipped={"ear": "no audio stream"}, lost_audio=("beside the point",), batch_count=2)
    renumbered = [answer(at, {"eye": saw(at)}, {"eye": seen_rows(at)}) for at in range(2)]
    tables, by_model = run(*renumbered, plan=replace(silent, frames={"eye": 2}))
    ear = by_model["ear"]
    assert (ear["status"], ear["detail"], ear["attempts"], ear["audio_analyzed_s"]) == ("skipped", "no audio stream", 0, None)
    assert "heard" not in tables
    assert by_model["eye"]["status"] == "ok"


def test_finding_nothing_is_empty_with_an_empty_table_and_not_failed() -> None:
    nothing = saw(0, 1, rows=0)
    tables, by_model = run(
        SOUND, answer(1, {"eye": nothing}, {"eye": seen_rows()}), answer(2, {"eye": saw(2, 3, rows=0)}, {"eye": seen_rows()})
    )
    assert by_model["eye"]["status"] == "empty"
    assert by_model["eye"]["frames_analyzed"] == 4
    assert tables["seen"].num_rows == 0


@pytest.mark.parametrize(
    ("lost", "degraded"),
    [
        ({"lost_video": ("half the pictures",)}, {"eye"}),
        ({"lost_audio": ("half the sound",)}, {"ear"}),
        ({"lost_video": ("cut",), "lost_audio": ("cut",)}, {"eye", "ear"}),
    ],
)
def test_lost_media_degrades_the_models_that_needed_it_and_no_others(lost: dict[str, Any], degraded: set[str]) -> None:
    tables, by_model = run(SOUND, FIRST, LAST, plan=replace(PLAN, **lost))
    assert {name for name, row in by_model.items() if row["status"] == "degraded"} == degraded
    assert {name for name, row in by_model.items() if row["status"] == "ok"} == {"eye", "ear"} - degraded
    assert {by_model[name]["detail"] for name in degraded} == {text for texts in lost.values() for text in texts}
    assert (tables["seen"].num_rows, tables["heard"].num_rows) == (4, 1)


def test_what_a_model_could_not_look_at_degrades_it_and_is_told_once() -> None:
    sound = answer(0, {"ear": heard(missed=("too loud",))}, {"ear": heard_rows(7)})
    first = answer(1, {"eye": saw(0, 1, missed=("too dark",))}, {"eye": seen_rows(0, 1)})
    last = answer(2, {"eye": saw(2, 3, missed=("too dark",))}, {"eye": seen_rows(2, 3)})
    _, by_model = run(sound, first, last)
    assert (by_model["eye"]["status"], by_model["eye"]["detail"]) == ("degraded", "too dark")
    assert (by_model["ear"]["status"], by_model["ear"]["detail"]) == ("degraded", "too loud")


def test_frames_that_were_planned_and_not_answered_degrade() -> None:
    _, by_model = run(SOUND, FIRST, answer(2, {"eye": saw(2)}, {"eye": seen_rows(2)}))
    assert (by_model["eye"]["status"], by_model["eye"]["detail"]) == ("degraded", "3 of 4 frames answered")
