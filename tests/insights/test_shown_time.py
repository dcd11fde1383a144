"""A frame is shown until the next one: how often a file repeats a picture changes no insight."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rumiai_ray.frames.limits import DecodeLimits
from rumiai_ray.frames.sampling import SamplingSpec, grid_fps
from rumiai_ray.frames.store.files import sha256_of
from rumiai_ray.frames.store.store import FrameStore
from rumiai_ray.insights.looks import Look, looks_of
from shown_alike import RATES_FPS, differences
from synthetic_clips import number_in, picture, slide_show
from synthetic_video import derived, emotion, face, gaze, gesture, said, shots, text, thing, video

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    Tables = dict[str, list[dict[str, Any]]]

AWAY_DEG = 30.0
FACE, TEXT, LOOK, DOG, SAD, WAVE, TWO = (1 << bit for bit in range(7))
"""What a picture shows, as the digits of its number; the scripted models read them off the stored frames."""
SCENES = {
    "slides": [(TEXT, 6), (FACE | LOOK, 4), (FACE, 2), (DOG, 1), (0, 3), (TEXT | TWO | FACE, 2)],
    "talk": [(FACE | LOOK, 1), (FACE, 1), (FACE | LOOK | TEXT, 3), (FACE | SAD, 1), (FACE | WAVE, 2), (0, 1), (FACE | LOOK | TEXT, 4)],
    "flicker": [(TEXT | FACE, 1), (0, 2), (TEXT | FACE, 1), (0, 1), (TEXT | DOG, 1), (FACE | SAD | LOOK, 2), (WAVE | FACE, 1), (0, 4)],
    "half a minute": [
        *((TEXT | FACE, 5), (FACE | LOOK, 7), (DOG, 1), (0, 3), (FACE | LOOK | TEXT, 6), (FACE | SAD, 2)),
        *((WAVE | FACE, 1), (FACE, 2), (WAVE | FACE, 1), (TEXT | TWO | FACE, 8)),
    ],
}
"""(picture, whole seconds)."""
CUTS_S = {"slides": (12.0,), "talk": (5.0, 9.0), "flicker": (), "half a minute": (12.0, 22.0)}
GRIDS_FPS = {"slides": 5.0, "talk": 5.0, "flicker": 5.0, "half a minute": 3.0}


class Made(NamedTuple):
    """What became of a scene."""

    jpegs: frozenset[bytes]
    """The different pictures that the store keeps."""
    duration_s: float
    tables: Tables


def _made(directory: Path, clip: Path, cuts_s: Sequence[float]) -> Made:
    """The insights from what scripted models say of the frames that the store keeps of a clip."""
    store = FrameStore(directory / "store", spec=SamplingSpec(), limits=DecodeLimits())
    with store.ensure(clip, sha256_of(clip)) as stored:
        jpegs = [jpeg for batch in stored.batches() for jpeg in batch.jpegs]
        times_s, until_s, duration_s = tuple(stored.times_s.tolist()), tuple(stored.shown_until_s.tolist()), stored.facts.duration_s
    tables: Tables = {name: [] for name in ("faces", "gaze", "texts", "objects", "emotions", "gestures")}
    for frame, number in enumerate(map(number_in, jpegs)):
        if number & FACE:
            tables["faces"].append(face(frame, 30.0))
            tables["gaze"].append(gaze(frame, 0.0 if number & LOOK else AWAY_DEG, contact=bool(number & LOOK)))
            tables["emotions"].append(emotion(frame, "sadness" if number & SAD else "happiness"))
            tables["objects"].append(thing(frame))
        if number & TWO:
            tables["objects"].append(thing(frame, index=2, x1=0.0, side=25.0))
        if number & TEXT:
            tables["texts"].append(text(frame, "PRICE LIST"))
        if number & DOG:
            tables["objects"].append(thing(frame, "dog", 1, x1=0.0))
        if number & WAVE:
            tables["gestures"].append(gesture(frame))
    timed: dict[str, Any] = {name: [row | {"time_s": times_s[row["frame_index"]]} for row in rows] for name, rows in tables.items()}
    ends_s = (*cuts_s, duration_s)
    seen = video(
        duration_s, times_s=times_s, shown_until_s=until_s, shots=shots(*ends_s), **timed, **said(1.0, duration_s - 1.0, "buy this now")
    )
    return Made(frozenset(jpegs), duration_s, derived(seen))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int | None], Made]:
    """What became of each scene at each rate; None is without repeated frames."""
    found = {}
    for scene, cuts_s in CUTS_S.items():
        slides = [(picture(number), seconds) for number, seconds in SCENES[scene]]
        for fps in (None, *RATES_FPS):
            directory = tmp_path_factory.mktemp("clips")
            found[scene, fps] = _made(directory, slide_show(directory / "scene.mp4", slides, fps), cuts_s)
    return found


@pytest.mark.parametrize("fps", RATES_FPS)
@pytest.mark.parametrize("scene", SCENES)
def test_the_same_pictures_give_the_same_insights_at_any_rate(made: dict[tuple[str, int | None], Made], scene: str, fps: int) -> None:
    one, other = made[scene, None], made[scene, fps]
    assert differences(one.tables, other.tables, one.duration_s) == []


@pytest.mark.parametrize("scene", SCENES)
def test_the_files_of_a_scene_lose_nothing_and_are_sampled_by_one_grid(made: dict[tuple[str, int | None], Made], scene: str) -> None:
    for fps in (None, *RATES_FPS):
        assert made[scene, fps].jpegs == made[scene, None].jpegs, fps
        assert len(made[scene, fps].jpegs) == len({number for number, _ in SCENES[scene]}), fps
        assert grid_fps(made[scene, fps].duration_s) == GRIDS_FPS[scene], fps


def _appearance(span: dict[str, Any]) -> tuple[str, float, float, int]:
    return span["text"], span["start_s"], span["end_s"], span["sightings"]


def test_a_text_in_one_frame_of_six_seconds_is_shown_for_six_seconds(made: dict[tuple[str, int | None], Made]) -> None:
    tables = made["slides", None].tables
    assert _appearance(tables["text_spans"][0]) == ("PRICE LIST", 0.0, 6.0, 1)
    windows = {row["name"]: row["text_coverage"] for row in tables["windows"]}
    assert (windows["hook"], windows["middle_1"]) == (1.0, pytest.approx(3 / 4))  # 0 to 3 s and 3 to 7 s
    assert [row["text_coverage"] for row in tables["timeline"]][:7] == pytest.approx([1.0] * 6 + [0.0])
    assert [row["texts"] for row in tables["timeline"]][:7] == [["PRICE LIST"]] * 6 + [[]]


def test_the_price_list_of_a_public_report_is_shown_for_six_seconds(reported: Path, tmp_path: Path) -> None:
    clip = reported / "hold_text_6s.mp4"
    with FrameStore(tmp_path, spec=SamplingSpec(), limits=DecodeLimits()).ensure(clip, sha256_of(clip)) as stored:
        times_s, until_s = tuple(stored.times_s.tolist()), tuple(stored.shown_until_s.tolist())
        duration_s = stored.facts.duration_s
    tables = derived(video(duration_s, times_s=times_s, shown_until_s=until_s, texts=[text(0, "PRICE LIST")], shots=shots(6.0, duration_s)))
    (span,) = tables["text_spans"]
    assert (span["start_s"], span["end_s"]) == pytest.approx((0.0, 6.0))
    coverage = {row["name"]: row["text_coverage"] for row in tables["windows"]}
    assert (coverage["hook"], coverage["middle_1"]) == (1.0, pytest.approx(1.0))
    assert [row["text_coverage"] for row in tables["timeline"]] == pytest.approx([1.0] * 6 + [0.0] * 3)


def test_a_face_held_for_four_of_six_seconds_is_visible_two_thirds_of_the_time() -> None:
    times_s = (0.0, *(4.0 + frame / 5 for frame in range(10)))
    tables = derived(video(6.0, times_s=times_s, faces=[face(0)]))
    (row,) = tables["person_framing"]
    assert row["face_visibility_rate"] == pytest.approx(2 / 3)
    assert row["longest_absence_s"] == pytest.approx(2.0)
    assert [second["face_visibility_rate"] for second in tables["person_framing_seconds"]] == [1.0] * 4 + [0.0] * 2


def test_a_thing_in_one_held_frame_has_a_track_and_in_one_short_frame_has_none() -> None:
    held = video(4.0, times_s=(0.0, 2.0, 2.2), objects=[thing(0)])
    assert [(row["first_seen_s"], row["seen_until_s"]) for row in derived(held)["tracks"]] == [(0.0, 2.0)]
    assert derived(video(4.0, objects=[thing(3)]))["tracks"] == []


@given(
    st.lists(st.floats(0.01, 3.0), min_size=1, max_size=12), st.sets(st.integers(0, 11)), st.sets(st.integers(1, 11)), st.floats(0.1, 1.0)
)
def test_looks_never_overlap_nor_cross_a_cut_and_hold_the_time_their_frame_is_shown(
    lengths_s: list[float], seen: set[int], cuts: set[int], part: float
) -> None:
    ends_s = list(accumulate(lengths_s))
    from_s = [0.0, *ends_s[:-1]]
    until_s = [start_s + length_s * part for start_s, length_s in zip(from_s, lengths_s, strict=True)]
    cuts_s = [from_s[at] for at in sorted(cuts) if at < len(from_s)]
    indices = [at for at in sorted(seen) if at < len(from_s)]
    looks: Sequence[Look] = looks_of(indices, from_s, until_s, cuts_s, ends_s[-1], 1 / grid_fps(ends_s[-1]))
    for look in looks:
        assert 0 <= look.start_s <= look.shown_from_s < look.shown_until_s <= look.end_s <= ends_s[-1]
        assert not any(look.start_s + 1e-6 < cut_s < look.end_s - 1e-6 for cut_s in cuts_s)
    assert all(before.end_s <= after.start_s for before, after in pairwise(looks))
