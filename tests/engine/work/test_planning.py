"""From a stored video to rows of work: every model gets the frames it asked for, each once, and the count is kept. No Ray."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest

import fakes
from rumiai_ray.engine.work import planner as planning
from rumiai_ray.engine.work.item import decode, encode
from rumiai_ray.engine.work.planner import plan_video
from rumiai_ray.frames.types import AUDIO_RATE_HZ, Audio, EncodedBatch, SourceFacts
from rumiai_ray.models.base import ModelPlan, Subset

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from rumiai_ray.engine.work.item import VideoPlan, Work
    from rumiai_ray.frames.store.stored import StoredVideo

FACTS = SourceFacts(
    size_bytes=1, container="mov", video_codec="h264", audio_codec="aac", width_px=640, height_px=360, rotation_deg=0, duration_s=10.0,
    fps=30.0, frames_decoded=300, frames_sampled=50, sampling_fps=5.0, stored_width_px=640, stored_height_px=360, audio_start_s=0.0,
    audio_duration_s=10.0, video_streams=1, audio_streams=1, problems=("a", "b", "c"), lost_video=("a",), lost_audio=("b",),
)  # fmt: skip
SOUND_ONLY = replace(
    FACTS, video_codec=None, width_px=None, height_px=None, rotation_deg=None, mirrored=None, fps=None, frames_decoded=0, frames_sampled=0,
    sampling_fps=None, stored_width_px=None, stored_height_px=None, video_streams=0, video_stream=None, lost_video=(),
)  # fmt: skip
SILENT = replace(FACTS, audio_codec=None, audio_streams=0, audio_start_s=None, audio_duration_s=None)


@dataclass
class Stored:
    """As much of a `StoredVideo` as planning looks at."""

    facts: SourceFacts = FACTS
    audio_s: float = 10.0
    video_key: str = "v"
    read: list[int] = field(default_factory=list)
    """First frame of every batch that was read."""

    @property
    def times_s(self) -> NDArray[np.float64]:
        return np.arange(self.facts.frames_sampled) / 5

    @property
    def shown_until_s(self) -> NDArray[np.float64]:
        return self.times_s + 1 / 30

    def audio(self) -> Audio | None:
        if self.facts.audio_start_s is None:
            return None
        return Audio(np.zeros(int(self.audio_s * AUDIO_RATE_HZ), np.int16), self.facts.audio_start_s)

    def thumbnails(self) -> tuple[tuple[bytes, ...], NDArray[np.float64]]:
        count = self.facts.frames_decoded
        return tuple(b"%d" % number for number in range(count)), np.arange(count) / 30

    def batches(self, size: int) -> Iterator[EncodedBatch]:
        for start in range(0, self.facts.frames_sampled, size):
            self.read.append(start)
            index = np.arange(start, min(start + size, self.facts.frames_sampled))
            yield EncodedBatch(index.astype(np.int32), index.astype(np.int64), index / 5, (b"jpeg",) * len(index))


class Few(fakes.FakeSettings):
    """Wants three frames of a video."""

    def subset(self, duration_s: float) -> Subset:
        del duration_s
        return Subset(max_frames=3)


class Slow(fakes.FakeSettings):
    """Wants one frame a second."""

    def subset(self, duration_s: float) -> Subset:
        del duration_s
        return Subset(fps=1.0)


ALL = fakes.plan("all")
FEW = replace(fakes.plan("few"), settings=Few())
SLOW = replace(fakes.plan("slow"), settings=Slow())
EAR = fakes.plan("ear", "Listener")
EYES = fakes.plan("eyes", "Watcher")


def planned(stored: Stored, *models: ModelPlan, batch_frames: int = 8) -> tuple[VideoPlan, list[Work]]:
    plan, works = plan_video("entry", cast("StoredVideo", stored), models, batch_frames)
    return plan, list(works)


@pytest.mark.parametrize("language", [None, "en", "pt-BR"])
def test_every_stretch_of_sound_carries_the_video_s_language_there_and_back(language: str | None) -> None:
    _, works = plan_video("entry", cast("StoredVideo", Stored(audio_s=700.0)), (EAR,), 8, language=language)
    sent = list(works)
    back = [decode(encode(sent), row) for row in range(len(sent))]
    assert [work.audio.language for work in back if work.audio] == [language] * 3


def frames_for(name: str, works: list[Work]) -> list[int]:
    """Frame indices the rows of work hand to a model, in order."""
    return [int(work.frames.frame_index[position]) for work in works if work.frames is not None for position in work.wanted.get(name, ())]


def test_each_model_gets_its_own_frames_over_the_whole_video_each_once() -> None:
    plan, works = planned(Stored(), ALL, FEW, SLOW)
    assert frames_for("all", works) == list(range(50))
    few, slow = frames_for("few", works), frames_for("slow", works)
    assert (few[0], len(few), few[-1]) == (0, 3, 49)
    assert (slow[0], len(slow), slow[-1]) == (0, 10, 49)
    assert slow == sorted(set(slow))
    assert plan.frames == {"all": 50, "few": 3, "slow": 10}


@pytest.mark.parametrize("batch_frames", [1, 7, 8, 50, 64])
@pytest.mark.parametrize("models", [(ALL, EAR), (FEW,), (FEW, SLOW, EAR), (EAR,), ()])
@pytest.mark.parametrize("facts", [FACTS, SILENT, SOUND_ONLY, replace(FACTS, frames_sampled=1)])
def test_the_count_is_that_of_the_rows_and_every_row_is_numbered(
    facts: SourceFacts, models: tuple[ModelPlan, ...], batch_frames: int
) -> None:
    plan, works = planned(Stored(facts), *models, batch_frames=batch_frames)
    assert len(works) == plan.batch_count
    assert [work.batch_index for work in works] == list(range(plan.batch_count))
    assert {(work.entry_id, work.video_key, work.batch_count) for work in works} <= {("entry", "v", plan.batch_count)}
    assert all(work.wanted for work in works)


def test_a_batch_no_model_wants_is_no_row_of_work() -> None:
    plan, works = planned(Stored(), FEW)
    assert plan.batch_count == len(works) == 3
    assert [list(work.wanted) for work in works] == [["few"]] * 3


def test_sound_comes_first_so_that_the_slowest_model_starts_at_once() -> None:
    stored = Stored(audio_s=700.0)
    plan, works = plan_video("entry", cast("StoredVideo", stored), (ALL, EAR), 8)
    assert plan.audio == ("ear",)
    kinds = []
    for work in works:
        kinds.append(work.kind)
        if work.kind == "audio":
            assert stored.read == []
            assert dict(work.wanted) == {"ear": ()}
    assert kinds == ["audio"] * 3 + ["frames"] * 7


def test_frames_carry_the_size_of_the_picture_as_shown() -> None:
    _, works = planned(Stored(), ALL)
    assert {(work.source_width_px, work.source_height_px) for work in works} == {(640, 360)}


@pytest.mark.parametrize(
    ("stored", "reason"),
    [
        (Stored(SILENT), "no audio stream"),
        (Stored(replace(SILENT, audio_streams=1)), "no audio stream has a codec that is known here"),
        (Stored(replace(FACTS, audio_start_s=None)), "the audio stream holds no samples"),
        (Stored(audio_s=0.0), "the audio stream holds no samples"),
    ],
)
def test_without_sound_the_listeners_are_skipped_by_reason_and_the_others_run(stored: Stored, reason: str) -> None:
    plan, works = planned(stored, ALL, EAR)
    assert plan.skipped == {"ear": reason}
    assert plan.audio == ()
    assert {work.kind for work in works} == {"frames"}
    assert len(works) == plan.batch_count == 7


def test_without_a_video_stream_the_lookers_are_skipped_by_reason_and_the_listeners_run() -> None:
    stored = Stored(SOUND_ONLY, audio_s=700.0)
    plan, works = planned(stored, ALL, FEW, EYES, EAR)
    assert plan.skipped == dict.fromkeys(("all", "few", "eyes"), "no video stream")
    assert (plan.frames, plan.thumbnails, plan.audio) == ({}, {}, ("ear",))
    assert [work.kind for work in works] == ["audio"] * 3
    assert (plan.sampled.duration_s, plan.sampled.width_px, plan.sampled.height_px) == (10.0, None, None)
    assert stored.read == []


def test_sound_nobody_listens_to_is_no_work() -> None:
    plan, works = planned(Stored(), ALL)
    assert (plan.audio, plan.skipped) == ((), {})
    assert {work.kind for work in works} == {"frames"}


def test_what_the_file_lost_is_handed_on_by_kind() -> None:
    plan, _ = planned(Stored(), ALL, EAR)
    assert (plan.lost_video, plan.lost_audio) == (("a",), ("b",))


def test_thumbnails_go_in_one_row_with_the_whole_video() -> None:
    plan, works = planned(Stored(), EYES, ALL)
    (work,) = [work for work in works if work.kind == "thumbnails"]
    assert (plan.thumbnails, plan.batch_count, work.wanted) == ({"eyes": 300}, len(works), {"eyes": ()})
    assert work.thumbnails is not None
    assert work.thumbnails.jpegs == Stored().thumbnails()[0]
    assert (work.thumbnails.own_first, work.thumbnails.own_count, work.thumbnails.end_s) == (0, 300, 10.0)


def test_thumbnails_of_a_long_video_go_in_stretches_that_know_their_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "_STRIP", 120)
    monkeypatch.setattr(planning, "_CONTEXT", 10)
    plan, works = planned(Stored(), EYES)
    strips = [work.thumbnails for work in works if work.thumbnails is not None]
    assert plan.batch_count == len(strips) == 3
    own = [strip.jpegs[strip.own_first : strip.own_first + strip.own_count] for strip in strips]
    assert tuple(jpeg for part in own for jpeg in part) == Stored().thumbnails()[0]
    assert [len(strip.jpegs) for strip in strips] == [130, 140, 70]
    assert [strip.end_s for strip in strips] == [4.0, 8.0, 10.0]


def test_thumbnails_are_not_read_for_models_that_want_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stored, "thumbnails", lambda _: pytest.fail("thumbnails were read"))
    plan, works = planned(Stored(), ALL, EAR)
    assert plan.thumbnails == {}
    assert {work.kind for work in works} == {"audio", "frames"}


def test_a_row_of_thumbnails_survives_the_way_through_ray_s_store() -> None:
    _, works = planned(Stored(), EYES)
    back = decode(encode(works), 0)
    assert back.thumbnails is not None
    assert works[0].thumbnails is not None
    assert back.thumbnails.jpegs == works[0].thumbnails.jpegs
    assert back.thumbnails.time_s.tolist() == works[0].thumbnails.time_s.tolist()
    assert (back.kind, back.thumbnails.own_first, back.thumbnails.own_count, back.thumbnails.end_s) == ("thumbnails", 0, 300, 10.0)
