"""Whisper with real weights on real speech, and on clips that make it invent some."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import av
import numpy as np
import pytest

from rumiai_ray.errors import ConfigError, ModelError
from rumiai_ray.frames.types import AUDIO_RATE_HZ
from rumiai_ray.models.base import AudioChunk
from rumiai_ray.models.whisper.model import Whisper, WhisperSettings
from rumiai_ray.schema.whisper import SPEECH_SEGMENTS, WORDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from rumiai_ray.models.base import ModelPlan

    Transcribe = Callable[[str], "Transcript"]

DIGITS = dict(zip("0123456789", ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"], strict=True))
CLOCK_VOICE = "a_speech/autoeditor_example_voice_timecode.mp4"
GRID = "c_text_derived/tt_grid4_captions_720x1280.mp4"
GRID_SENTENCES = ("bin blue at f two now", "bin red by k seven now", "lay white by s zero again", "set white in z three now")


VOICES = (
    "a_speech/grid_bbaf2n.mpg", "a_speech/grid_brbk7n.mpg", "a_speech/grid_lwbsza.mpg", "a_speech/grid_id2_vcd_swwp2s.mpg",
    "a_speech/jfk.flac",
)  # fmt: skip
"""Five English speakers."""


class Transcript:
    """Both tables of one clip, as records, and the audio's length."""

    def __init__(self, tables: Mapping[str, Any], audio_s: float) -> None:
        self.segments = tables["speech_segments"].to_pylist()
        self.words = tables["words"].to_pylist()
        self.audio_s = audio_s

    @property
    def text(self) -> str:
        return " ".join(segment["text"] for segment in self.segments)


def read_audio(path: Path) -> np.ndarray[Any, np.dtype[np.int16]]:
    """(n,) int16 mono at 16 kHz: the first audio stream, from its first sample."""
    resampler = av.AudioResampler("s16", "mono", AUDIO_RATE_HZ)
    parts = []
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            frame.pts = None
            parts += [part.to_ndarray()[0] for part in resampler.resample(frame)]
        parts += [part.to_ndarray()[0] for part in resampler.resample(None)]
    return np.concatenate(parts)


def tokens(text: str) -> list[str]:
    """Words in lower case; digits spelled out, "F2" and "f two" alike."""
    apart = re.sub(r"(?<=[a-z])(?=\d)", " ", text.lower())
    return [DIGITS.get(token, token) for token in re.findall(r"[a-z']+|\d", apart)]


def word_error_rate(said: str, heard: str) -> float:
    reference, row = tokens(said), list(range(len(tokens(heard)) + 1))
    for i, wanted in enumerate(reference, 1):
        diagonal, row[0] = row[0], i
        for j, got in enumerate(tokens(heard), 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (wanted != got))
    return row[-1] / len(reference)


def loaded(plan: ModelPlan) -> Whisper:
    model = Whisper(plan)
    model.load()
    return model


@pytest.fixture(scope="module")
def base(plan_for: Callable[..., ModelPlan]) -> Iterator[Whisper]:
    model = loaded(plan_for("whisper"))
    yield model
    model.close()


@pytest.fixture(scope="module")
def transcribe(base: Whisper, media: Path) -> Transcribe:
    done: dict[str, Transcript] = {}

    def run(clip: str) -> Transcript:
        if clip not in done:
            samples = read_audio(media / clip)
            done[clip] = Transcript(base.predict(AudioChunk(samples, 0.0)).tables, len(samples) / AUDIO_RATE_HZ)
        return done[clip]

    return run


@pytest.mark.model("whisper")
def test_a_famous_sentence_is_read_word_for_word_with_times_in_order(transcribe: Transcribe) -> None:
    said = transcribe("a_speech/jfk.flac")
    kennedy = "And so my fellow Americans, ask not what your country can do for you, ask what you can do for your country."
    assert word_error_rate(kennedy, said.text) <= 0.05
    assert {segment["language"] for segment in said.segments} == {"en"}
    times = [time for word in said.words for time in (word["start_s"], word["end_s"])]
    assert times == sorted(times)
    assert [word["word_index"] for word in said.words] == list(range(len(said.words)))
    country = next(word for word in said.words if word["word"].startswith("country"))
    assert 5.6 < country["start_s"] < 6.1


@pytest.mark.model("whisper")
def test_four_short_sentences_by_four_speakers_are_told_apart(transcribe: Transcribe) -> None:
    said = transcribe(GRID)
    rates = [
        word_error_rate(sentence, " ".join(word["word"] for word in said.words if start_s <= word["start_s"] < start_s + 3))
        for start_s, sentence in zip((0, 3, 6, 9), GRID_SENTENCES, strict=True)
    ]
    assert np.mean(rates) <= 0.35
    assert max(rates) <= 0.5
    assert len(said.segments) == 4


@pytest.mark.model("whisper")
def test_a_word_after_long_silence_is_stamped_when_it_is_said(transcribe: Transcribe) -> None:
    last = transcribe(CLOCK_VOICE).segments[-1]
    assert tokens(last["text"]) == ["banana"]
    assert last["start_s"] == pytest.approx(39.97, abs=0.4)
    assert last["end_s"] == pytest.approx(40.46, abs=0.4)


@pytest.mark.model("whisper")
def test_no_word_is_lost_or_repeated_at_a_seam(transcribe: Transcribe) -> None:
    said = "On the bottom right you can see the time. When the time reaches forty seconds, I will say banana. Banana."
    heard = " ".join(word["word"] for word in transcribe(CLOCK_VOICE).words)
    assert word_error_rate(said, heard[heard.lower().index("on the bottom") :].replace("40", "forty")) == 0


@pytest.mark.model("whisper")
def test_the_second_language_of_a_recording_is_not_dropped(transcribe: Transcribe) -> None:
    said = transcribe("a_speech/multilingual_en_de.mp3")
    english = [segment for segment in said.segments if segment["end_s"] < 30]
    german = [segment for segment in said.segments if segment["start_s"] > 30]
    assert {segment["language"] for segment in english} == {"en"}
    assert {segment["language"] for segment in german} == {"de"}
    assert all(segment["language_probability"] > 0.9 for segment in said.segments)
    assert "Genehmigung erteilt" in " ".join(segment["text"] for segment in german)
    assert np.mean([word["probability"] for word in said.words]) > 0.85


@pytest.mark.model("whisper")
@pytest.mark.parametrize("german_first", [False, True])
def test_eight_seconds_of_english_and_eight_of_german_are_both_heard(base: Whisper, media: Path, german_first: bool) -> None:  # noqa: FBT001 -- a case
    samples = read_audio(media / "a_speech/multilingual_en_de.mp3")
    parts = [samples[: 8 * AUDIO_RATE_HZ], samples[32 * AUDIO_RATE_HZ : 40 * AUDIO_RATE_HZ]]
    first, second = parts[::-1] if german_first else parts
    rest = np.zeros(AUDIO_RATE_HZ // 2, samples.dtype)  # languages change where one speaker has ended
    said = base.predict(AudioChunk(np.concatenate([first, rest, second]), 0.0)).tables["speech_segments"].to_pylist()
    heard = {code: [row for row in said if row["language"] == code] for code in ("en", "de")}
    assert {row["language"] for row in said} == {"en", "de"}
    for code, (start_s, end_s) in zip(("de", "en") if german_first else ("en", "de"), ((0, 8), (8.5, 16.5)), strict=True):
        assert all(start_s - 1.5 <= row["start_s"] <= row["end_s"] <= end_s + 1.5 for row in heard[code])
        assert sum(row["end_s"] - row["start_s"] for row in heard[code]) > 4
    assert {row["language_decision"] for row in said} == {"detected"}


@pytest.mark.model("whisper")
@pytest.mark.parametrize("known", [{"languages": ("en", "de")}, {"expected_language": "en"}])
def test_a_short_english_sentence_is_english_where_that_is_expected(
    plan_for: Callable[..., ModelPlan], media: Path, known: dict[str, Any]
) -> None:
    model = loaded(plan_for("whisper", vad=False, beam_size=1, max_no_speech_prob=1.0, min_avg_logprob=-9.0, **known))
    samples = read_audio(media / "a_speech/grid_bbaf2n.mpg")[: int(1.4 * AUDIO_RATE_HZ)]
    rows = model.predict(AudioChunk(samples, 0.0)).tables["speech_segments"].to_pylist()
    assert {row["language"] for row in rows} == {"en"}
    model.close()


@pytest.mark.model("whisper")
@pytest.mark.parametrize("clip", VOICES)
def test_what_is_known_of_a_video_decides_on_a_sentence_too_short_to_tell_and_on_no_other(
    plan_for: Callable[..., ModelPlan], media: Path, clip: str
) -> None:
    model = loaded(plan_for("whisper", vad=False, beam_size=1, max_no_speech_prob=1.0, min_avg_logprob=-9.0))
    samples = read_audio(media / clip)[: int(1.4 * AUDIO_RATE_HZ)]

    def decision(language: str | None) -> tuple[str, float, str]:
        (row,) = model.predict(AudioChunk(samples, 0.0, language)).tables["speech_segments"].to_pylist()
        return row["language"], row["language_probability"], row["language_decision"]

    alone, told, told_wrong = decision(None), decision("en-GB"), decision("ja")
    model.close()
    assert told[0] == "en"
    assert told[2] == ("detected" if alone[0] == "en" else "expected")
    assert 0 < told[1] <= 1
    assert told_wrong[:2] == alone[:2], "nobody hears Japanese in this"


WEAK = {"da": 0.32, "en": 0.21, "nn": 0.12, "nl": 0.06}
"""What a network hears in an English sentence of 1.4 s."""


class _Listener:
    """Stands in for the network: it hears the same in every window."""

    supported_languages = ("en", "da", "nn", "nl", "de", "pt")

    def __init__(self, heard: Mapping[str, float]) -> None:
        self._heard = heard

    def languages_in(self, windows: list[Any], _batch_size: int) -> list[Mapping[str, float]]:
        return [self._heard] * len(windows)


@pytest.mark.parametrize(
    ("known", "expected_language", "decided"),
    [
        (None, None, ("da", "detected")),
        ("en", None, ("en", "expected")),
        ("en-US", None, ("en", "expected")),
        ("EN_gb", None, ("en", "expected")),
        ("nl", "en", ("nl", "expected")),
        (None, "en", ("en", "expected")),
        ("no language", "en", ("en", "expected")),
        ("xx", "en", ("en", "expected")),
    ],
)
def test_wiring_only_the_language_of_a_video_comes_before_the_configured_one(
    known: str | None, expected_language: str | None, decided: tuple[str, str]
) -> None:
    settings = WhisperSettings(vad=False, expected_language=expected_language)
    model = Whisper(cast("ModelPlan", SimpleNamespace(settings=settings)))
    model._recogniser = cast("Any", _Listener(WEAK))
    samples = np.ones(int(1.4 * AUDIO_RATE_HZ), np.int16)
    _, (language,) = model._turns(AudioChunk(samples, 0.0, known), samples.astype(np.float32))
    assert (language.code, language.decision) == decided


@pytest.mark.model("whisper")
@pytest.mark.parametrize(
    "clip",
    [
        "b_objects/sam2_dog_fetch.mp4",
        "c_text/moviepy_smpte_counters.mp4",
        "d_emotion/pyfeat_sad_to_happy_pexels.mp4",
        "d_emotion/pyfeat_face_then_noface.mov",
        "c_text_derived/tt_textcards_no_person_720x1280.mp4",
        "e_edge_made/silent_audio_track.mp4",
        "e_edge_real/moviepy_no_duration.webm",
    ],
)
def test_where_nobody_speaks_nothing_is_heard(transcribe: Transcribe, clip: str) -> None:
    assert transcribe(clip).segments == []
    assert transcribe(clip).words == []


@pytest.mark.model("whisper")
@pytest.mark.parametrize(
    "clip", ["b_objects/sam2_dog_fetch.mp4", "c_text_derived/tt_textcards_no_person_720x1280.mp4", "e_edge_made/silent_audio_track.mp4"]
)
def test_without_the_voice_detector_inventions_are_still_dropped(plan_for: Callable[..., ModelPlan], media: Path, clip: str) -> None:
    model = loaded(plan_for("whisper", vad=False, beam_size=1))
    assert model.predict(AudioChunk(read_audio(media / clip), 0.0)).tables["speech_segments"].num_rows == 0
    model.close()


@pytest.mark.model("whisper")
@pytest.mark.parametrize("clip", ["a_speech/jfk.flac", CLOCK_VOICE, GRID])
def test_nothing_is_reported_past_the_end_of_the_audio(transcribe: Transcribe, clip: str) -> None:
    said = transcribe(clip)
    for row in said.segments + said.words:
        assert 0 <= row["start_s"] <= row["end_s"] <= said.audio_s
    for segment in said.segments:
        own = [word for word in said.words if word["segment_index"] == segment["segment_index"]]
        assert (own[0]["start_s"], own[-1]["end_s"]) == (segment["start_s"], segment["end_s"])
        assert [word["word"] for word in own] == segment["text"].split()


@pytest.mark.model("whisper")
def test_times_count_from_the_first_frame_and_a_configured_language_has_no_probability(
    plan_for: Callable[..., ModelPlan], media: Path
) -> None:
    model = loaded(plan_for("whisper", model="tiny.en", language="en", beam_size=1))
    samples = read_audio(media / "a_speech/jfk.flac")
    here = Transcript(model.predict(AudioChunk(samples, 0.0)).tables, 11)
    late = Transcript(model.predict(AudioChunk(samples, -1.5)).tables, 11)
    assert late.text == here.text
    assert [word["start_s"] for word in late.words] == pytest.approx([word["start_s"] - 1.5 for word in here.words])
    assert {segment["language_probability"] for segment in here.segments} == {None}
    model.close()


@pytest.mark.model("whisper")
def test_one_chunk_leaves_nothing_behind_for_the_next(base: Whisper, media: Path) -> None:
    speech, silence = read_audio(media / "a_speech/grid_brbk7n.mpg"), np.zeros(AUDIO_RATE_HZ, np.int16)
    first = base.predict(AudioChunk(speech, 0.0)).tables
    for samples in (silence, silence[:0], silence[:10]):
        assert all(table.num_rows == 0 for table in base.predict(AudioChunk(samples, 0.0)).tables.values())
    assert base.predict(AudioChunk(speech, 0.0)).tables == first


@pytest.mark.model("whisper")
@pytest.mark.parametrize("clip", ["b_objects/sam2_dog_fetch.mp4", "e_edge_made/silent_audio_track.mp4"])
def test_what_no_voice_is_found_in_costs_no_pass_of_the_network(
    base: Whisper, media: Path, monkeypatch: pytest.MonkeyPatch, clip: str
) -> None:
    def encoded(*_: object) -> None:
        raise AssertionError("nobody speaks")

    monkeypatch.setattr(base._recogniser, "encode", encoded)
    assert base.predict(AudioChunk(read_audio(media / clip), 0.0)).tables["words"].num_rows == 0


@pytest.mark.model("whisper")
def test_a_language_the_network_does_not_know_is_refused_before_the_first_video(plan_for: Callable[..., ModelPlan]) -> None:
    with pytest.raises(ConfigError, match="does not know the language 'de'"):
        loaded(plan_for("whisper", model="tiny.en", language="de"))


@pytest.mark.model("whisper")
def test_a_chunk_longer_than_five_minutes_is_refused(base: Whisper) -> None:
    with pytest.raises(ModelError, match="301 s of audio"):
        base.predict(AudioChunk(np.zeros(301 * AUDIO_RATE_HZ, np.int16), 0.0))


def test_joining_chunks_numbers_segments_and_words_through_the_video() -> None:
    def part(start_s: float) -> dict[str, Any]:
        segment = {
            "text": "a b",
            "language": "en",
            "language_probability": None,
            "language_decision": "configured",
            "avg_logprob": -0.1,
            "no_speech_prob": 0.0,
        }
        times = {"start_s": start_s, "end_s": start_s + 1}
        word = {"word": "a", "normalized": "a", "probability": 0.9} | times
        return {
            "speech_segments": SPEECH_SEGMENTS.rows([segment | times | {"segment_index": 0, "compression_ratio": 0.5}]),
            "words": WORDS.rows([word | {"segment_index": 0, "word_index": index} for index in (0, 1)]),
        }

    tables = Whisper.join([part(0), part(300)])
    assert tables["speech_segments"]["segment_index"].to_pylist() == [0, 1]
    assert tables["words"]["segment_index"].to_pylist() == [0, 0, 1, 1]
    assert tables["words"]["word_index"].to_pylist() == [0, 1, 2, 3]
    assert tables["words"].schema == WORDS.row_schema
    assert Whisper.join([])["words"].num_rows == 0


def test_every_file_of_a_known_network_has_a_digest_and_an_unknown_network_must_be_pinned() -> None:
    for model in ("base", "tiny.en"):
        (candidate,) = Whisper.candidates(WhisperSettings(model=model))
        assert all(file.sha256 and len(file.sources) == 2 for file in candidate.files)
    (large,) = Whisper.candidates(WhisperSettings(model="large-v3"))
    assert all(file.sha256 is None for file in large.files)
