"""What the report says of families and their values by hand: for display, so it is not derived, and a test holds it to what there is."""

from __future__ import annotations

import re
from pathlib import Path

import rumiai_ray.report
from rumiai_ray.models.catalogue import default_models, model_class
from rumiai_ray.report import video_page
from rumiai_ray.schema.emotion import EMOTIONS

REPORT = Path(rumiai_ray.report.__file__).parent

WITHOUT_MOMENTS = {
    "whisper": "hears; its words are the transcript",
    "sound": "hears; its levels are a lane of the timeline",
    "shots": "sees every decoded frame, and finds cuts and changes between them",
}
"""Families that run by default and say nothing of a moment's frame, each with where their findings are shown."""


def test_every_default_family_is_one_whose_findings_a_moment_shows_or_is_named_as_without() -> None:
    assert sorted([*video_page._LOOKERS, *WITHOUT_MOMENTS]) == sorted(default_models())


def test_the_families_without_moments_take_no_single_frames() -> None:
    assert {name for name in default_models() if model_class(name).consumes == "frames"} == set(video_page._LOOKERS)


def test_what_is_found_in_a_frame_is_displayed_and_is_what_a_model_looked_for() -> None:
    about = [what for words, _ in video_page._LOOKERS.values() for what in words.split(", ")]
    assert sorted(about) == sorted(video_page._FACTS)
    source = (REPORT / "video_page.py").read_text(encoding="utf-8")
    assert set(re.findall(r'by_frame\[.*?\]\]\["(\w+)"\]', source)) == set(video_page._FACTS)


def test_every_emotion_has_a_colour_and_no_other() -> None:
    style = (REPORT / "templates" / "style.css").read_text(encoding="utf-8")
    assert sorted(re.findall(r"\.emotion-([\w-]+)", style)) == sorted(EMOTIONS)
