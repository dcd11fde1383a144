"""Whisper itself: windows of speech in, words and their language out. Imported by `Whisper.load` only: it is heavy to import."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
from faster_whisper import BatchedInferencePipeline, WhisperModel
from faster_whisper.audio import pad_or_trim

from rumiai_ray.frames.types import AUDIO_RATE_HZ
from rumiai_ray.models.whisper.transcript import DecodedWindow, Word

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from rumiai_ray.models.whisper.language import Language

_SEEK_HZ = 100
"""What faster-whisper counts a window's place in: spectrogram columns."""


class SpeechRecogniser(WhisperModel):  # type: ignore[misc]  # the library has no types
    """A network that looks at each window once, though both language detection and decoding want it encoded.

    Encoding is half of what a window costs on a CPU (base, int8, one thread: 1.3 s of 2.6). Less than 30 s of it was tried, in steps of 10,
    15 and 20 s with 2 s of padding or more behind the speech: of GRID's four sentences two segments without a full stop were left, and
    words differed in two of three recordings although nothing in the answer looked wrong. So the padding stays.
    """

    def __init__(self, folder: str, **options: Any) -> None:
        super().__init__(folder, num_workers=1, local_files_only=True, **options)
        self._encoded: list[tuple[NDArray[np.float32], Any]] = []

    def encode(self, features: NDArray[np.float32]) -> Any:
        """The encoder's output for (n, mels, 3000) float32 features, remembered until `forget`."""
        for known, output in self._encoded:
            if np.array_equal(known, features):
                return output
        output = super().encode(features)
        self._encoded.append((features, output))
        return output

    def languages_in(self, windows: Sequence[NDArray[np.float32]], batch_size: int) -> list[dict[str, float]]:
        """The probability of each language, per window; `hear` need not encode them again.

        Args:
            windows: (n,) float32 mono at 16 kHz in [-1, 1], each at most 30 s.
            batch_size: windows encoded at once.
        """
        if not windows:
            return []
        if not self.model.is_multilingual:
            return [{"en": 1.0}] * len(windows)
        # exactly what the pipeline computes, else `encode` would not recognise it
        features = np.stack([pad_or_trim(self.feature_extractor(window)[..., :-1]) for window in windows])
        return [
            {token.strip("<|>"): float(probability) for token, probability in scores}
            for start in range(0, len(windows), batch_size)
            for scores in self.model.detect_language(self.encode(features[start : start + batch_size]))
        ]

    def forget(self) -> None:
        """Drop the encoder's remembered outputs; they belong to one call."""
        self._encoded.clear()

    def hear(
        self, windows: Sequence[NDArray[np.float32]], spoken: Sequence[Language], *, beam_size: int, batch_size: int
    ) -> list[DecodedWindow]:
        """What is said in each window; where nothing is made out there are no words.

        Args:
            windows: (n,) float32 mono at 16 kHz in [-1, 1], each at most 30 s.
            spoken: the language of each.
            beam_size: hypotheses followed at once.
            batch_size: windows decoded at once.
        """
        together: defaultdict[str, list[int]] = defaultdict(list)
        for index, each in enumerate(spoken):
            together[each.code].append(index)
        heard: dict[int, DecodedWindow] = {}
        for indices in together.values():
            heard |= self._decode({index: windows[index] for index in indices}, spoken, beam_size, batch_size)
        return [heard[index] for index in range(len(windows))]

    def _decode(
        self, windows: Mapping[int, NDArray[np.float32]], spoken: Sequence[Language], beam_size: int, batch_size: int
    ) -> dict[int, DecodedWindow]:
        """`windows`, all in one language, by their index."""
        ends = np.cumsum([len(window) for window in windows.values()])
        starts = ends - [len(window) for window in windows.values()]
        language = spoken[next(iter(windows))]
        # a new pipeline for every call: it remembers where the speech before ended, and an error would leave that behind
        found, _ = BatchedInferencePipeline(self).transcribe(
            np.concatenate(list(windows.values())),
            language=language.code,
            # half a sample more: the library truncates seconds × rate to samples, and 0.1 s × 10 is 0.99…
            clip_timestamps=[
                {"start": (start + 0.5) / AUDIO_RATE_HZ, "end": (end + 0.5) / AUDIO_RATE_HZ}
                for start, end in zip(starts, ends, strict=True)
            ],
            vad_filter=False,
            without_timestamps=True,
            word_timestamps=True,
            temperature=0.0,
            beam_size=beam_size,
            batch_size=batch_size,
        )
        places = {int((start + 0.5) / AUDIO_RATE_HZ * _SEEK_HZ): index for start, index in zip(starts, windows, strict=True)}
        heard = {index: DecodedWindow((), 0.0, 1.0, spoken[index]) for index in windows}
        for segment in found:
            index = places[segment.seek]
            heard[index] = DecodedWindow(
                tuple(
                    Word(
                        word.word,
                        float(word.start) - segment.seek / _SEEK_HZ,
                        float(word.end) - segment.seek / _SEEK_HZ,
                        float(word.probability),
                    )
                    for word in segment.words
                ),
                segment.avg_logprob,
                segment.no_speech_prob,
                spoken[index],
            )
        return heard
