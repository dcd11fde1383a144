"""The audio of a video reaches the speech model whole, in order, and cut where nobody speaks."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rumiai_ray.frames.types import AUDIO_RATE_HZ, Audio
from rumiai_ray.models.audio import chunks

LOUD = np.random.default_rng(7).integers(-8000, 8000, 20 * AUDIO_RATE_HZ, dtype=np.int16)


@given(length=st.integers(0, 40_000), max_s=st.floats(0.05, 1.0), seed=st.integers(0, 5))
def test_no_sample_is_lost_or_doubled_and_no_chunk_is_too_long(length: int, max_s: float, seed: int) -> None:
    samples = np.random.default_rng(seed).integers(-(2**15), 2**15, length, dtype=np.int16)
    cut = chunks(Audio(samples, 0.0), max_s)
    assert np.array_equal(np.concatenate([chunk.samples for chunk in cut] or [samples[:0]]), samples)
    assert all(0 < len(chunk.samples) <= max_s * AUDIO_RATE_HZ for chunk in cut)


def test_a_cut_falls_into_the_silence_near_the_limit() -> None:
    samples = LOUD.copy()
    samples[int(8.6 * AUDIO_RATE_HZ) : int(9.2 * AUDIO_RATE_HZ)] = 0
    first, second, _ = chunks(Audio(samples, 0.0), 10)
    assert 8.6 < second.start_s < 9.2
    assert len(first.samples) / AUDIO_RATE_HZ == second.start_s


def test_full_scale_samples_do_not_overflow_the_search_for_silence() -> None:
    samples = np.full(20 * AUDIO_RATE_HZ, -(2**15), np.int16)
    samples[9 * AUDIO_RATE_HZ : int(9.5 * AUDIO_RATE_HZ)] = 0
    assert 9 < chunks(Audio(samples, 0.0), 10)[1].start_s < 9.5


def test_chunks_carry_the_time_of_their_first_sample_even_if_the_audio_begins_before_the_picture() -> None:
    cut = chunks(Audio(LOUD, -0.5), 6)
    assert cut[0].start_s == -0.5
    assert all(later.start_s == pytest.approx(sooner.start_s + len(sooner.samples) / AUDIO_RATE_HZ) for sooner, later in pairwise(cut))


def test_short_audio_is_one_chunk_and_no_audio_is_none() -> None:
    assert len(chunks(Audio(LOUD, 0.0))) == 1
    assert chunks(Audio(LOUD[:0], 0.0)) == []


def test_nobody_can_write_into_a_chunk() -> None:
    with pytest.raises(ValueError, match="read-only"):
        chunks(Audio(LOUD, 0.0))[0].samples[0] = 1


def test_a_limit_that_holds_no_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="hold no sample"):
        chunks(Audio(LOUD, 0.0), 0)
