"""Sound that begins before the first picture: it belongs to the first window and the first second, and to the whole video."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthetic_video import derived, said, sound, video


def late_pictures(lead_s: float, length_s: float = 9.0, **tables: Any) -> dict[Any, dict[str, Any]]:
    """Windows by name and seconds by number, of a video whose sound is loud before the first picture and quiet from then on."""
    heard = sound(-lead_s, 0.0, 0.5, pitch_hz=220.0) + sound(0.0, length_s, 0.1, silent=True)
    found = derived(video(length_s, audio_energy=heard, **tables))
    return {row["name"]: row for row in found["windows"]} | {row["second"]: row for row in found["timeline"]}


def energy(*parts: tuple[float, float]) -> float:
    """Root mean square of (seconds, root mean square)."""
    return float((sum(length_s * rms**2 for length_s, rms in parts) / sum(length_s for length_s, _ in parts)) ** 0.5)


def test_energy_silence_and_pitch_of_the_lead_are_those_of_the_first_window_and_the_first_second() -> None:
    found = late_pictures(2.0)
    for name, length_s in (("hook", 3.0), ("video", 9.0), (0, 1.0)):
        assert found[name]["energy_level"] == pytest.approx(energy((2, 0.5), (length_s, 0.1)))
        assert found[name]["silence_share"] == pytest.approx(length_s / (length_s + 2))
    assert found[0]["loudness_dbfs"] == pytest.approx(-7.7, abs=0.01)
    assert found[0]["pitch_hz"] == 220.0
    assert found["hook"]["energy_max"] == 0.5
    assert found["hook"]["pitch_scatter_ratio"] == 0.0
    for name in (1, 2, "closing"):
        assert found[name]["energy_level"] == pytest.approx(0.1)
        assert found[name]["silence_share"] == 1.0


def test_words_of_the_lead_count_at_the_rate_at_which_they_are_said() -> None:
    found = late_pictures(2.0, **said(-2.0, 2.0, "one two three four"))
    assert (found[0]["speech"], found[1]["speech"]) == ("one two three", "four")
    assert (found["hook"]["word_count"], found["middle_1"]["word_count"], found["video"]["word_count"]) == (4, 0, 4)
    assert found["hook"]["words_per_minute"] == pytest.approx(4 * 60 / 5)
    assert found["video"]["words_per_minute"] == pytest.approx(4 * 60 / 11)
    assert (found["hook"]["speech_coverage"], found["video"]["speech_coverage"]) == (pytest.approx(4 / 5), pytest.approx(4 / 11))
    assert (found[0]["speech_coverage"], found[1]["speech_coverage"], found[2]["speech_coverage"]) == (1.0, 1.0, 0.0)


def test_speech_that_ends_before_the_first_picture_is_in_the_first_second() -> None:
    found = late_pictures(3.0, **said(-2.0, -1.0, "follow me"))
    assert (found[0]["speech"], found[0]["word_count"], found["hook"]["word_count"]) == ("follow me", 2, 2)
    assert found[0]["speech_coverage"] == pytest.approx(1 / 4)
    assert found["hook"]["speech_coverage"] == pytest.approx(1 / 6)


def test_a_lead_without_any_sound_after_it_is_heard() -> None:
    (hook, _) = derived(video(2.0, audio_energy=sound(-1.5, 0.0, 0.3)))["windows"]
    assert hook["energy_level"] == pytest.approx(0.3)


@given(st.floats(0.1, 30.0), st.floats(0.5, 20.0))
def test_no_share_of_the_first_window_is_above_one_and_no_later_second_changes(lead_s: float, length_s: float) -> None:
    talk = said(-lead_s, length_s, "a b c d")
    with_lead, without = (late_pictures(of_lead_s, length_s, **talk) for of_lead_s in (lead_s, 0.0))
    assert 0 < with_lead["hook"]["speech_coverage"] <= 1 + 1e-9
    assert 0 <= with_lead["hook"]["silence_share"] <= 1
    for second in range(1, int(length_s)):
        assert with_lead[second]["energy_level"] == without[second]["energy_level"]
        assert with_lead[second]["speech_coverage"] == without[second]["speech_coverage"]
