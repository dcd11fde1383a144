"""Whisper itself: windows of speech in, words and their language out. Imported by `Whisper.load` only: it is heavy to import."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
from faster_whisper import BatchedInferencePipeline, WhisperModel
from faster_whisper.audio import pad_or_trim

from rumiai_ray.frames.types import AUDIO_RATE_HZ
from rumiai_ray.models.whisper.transcript import Heard, Language, Word

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

TRUSTED_LANGUAGE = 0.5
"""A window whose best language is less probable takes the language of the whole audio: one shouted word is weak evidence."""
_SEEK_HZ = 100
"""What faster-whisper counts a window's place in: spectrogram columns."""


class Recogniser(WhisperModel):  # type: ignore[misc]  # the library has no types
    """A network that looks at each window once, though both language detection and decoding want it encoded.

    Encoding is half of what a window costs on a CPU (base, int8, one thread: 1.3 s of 2.6).
    """

    def __init__(self, folder: str, **options: Any) -> None:
        super().__init__(folder, num_workers=1, local_files_only=True, **options)
        self._encoded: list[tuple[NDArray[np.float32], Any]] = []

    def encode(self, features: NDArray[np.float32]) -> Any:
        """The encoder's output for (n, mels, 3000) float32 features, remembered until the end of `hear`."""
        for known, output in self._encoded:
            if np.array_equal(known, features):
                return output
        output = super().encode(features)
        self._encoded.append((features, output))
        return output

    def hear(self, windows: Sequence[NDArray[np.float32]], *, language: str | None, beam_size: int, batch_size: int) -> list[Heard]:
        """What is said in each window; where nothing is made out there are no words.

        Args:
            windows: (n,) float32 mono at 16 kHz in [-1, 1], each at most 30 s.
            language: ISO 639-1 code, or None to detect it.
            beam_size: hypotheses followed at once.
            batch_size: windows decoded at once.
        """
        if not windows:
            return []
        try:
            spoken = [Language(language, None)] * len(windows) if language else self._languages(windows, batch_size)
            together: defaultdict[str, list[int]] = defaultdict(list)
            for index, each in enumerate(spoken):
                together[each.code].append(index)
            heard: dict[int, Heard] = {}
            for indices in together.values():
                heard |= self._decode({index: windows[index] for index in indices}, spoken, beam_size, batch_size)
        finally:
            self._encoded.clear()
        return [heard[index] for index in range(len(windows))]

    def _languages(self, windows: Sequence[NDArray[np.float32]], batch_size: int) -> list[Language]:
        if not self.model.is_multilingual:
            return [Language("en", None)] * len(windows)
        # exactly what the pipeline computes, else `encode` would not recognise it
        features = np.stack([pad_or_trim(self.feature_extractor(window)[..., :-1]) for window in windows])
        found = [
            {token.strip("<|>"): probability for token, probability in scores}
            for start in range(0, len(windows), batch_size)
            for scores in self.model.detect_language(self.encode(features[start : start + batch_size]))
        ]
        return choose_languages(found, [len(window) for window in windows])

    def _decode(
        self, windows: Mapping[int, NDArray[np.float32]], spoken: Sequence[Language], beam_size: int, batch_size: int
    ) -> dict[int, Heard]:
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
        heard = {index: Heard((), 0.0, 1.0, spoken[index]) for index in windows}
        for segment in found:
            index = places[segment.seek]
            heard[index] = Heard(
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


def choose_languages(found: Sequence[Mapping[str, float]], lengths: Sequence[int]) -> list[Language]:
    """Each window's language: its own where the detector is sure of it, else the audio's.

    Args:
        found: per window the probability of each language.
        lengths: the windows' lengths, which weigh them.
    """
    whole: defaultdict[str, float] = defaultdict(float)
    for probabilities, length in zip(found, lengths, strict=True):
        for code, probability in probabilities.items():
            whole[code] += probability * length / sum(lengths)
    overall = max(whole, key=whole.__getitem__)
    chosen: list[Language] = []
    for probabilities in found:
        best = max(probabilities, key=probabilities.__getitem__)
        sure = probabilities[best] >= TRUSTED_LANGUAGE
        chosen.append(Language(best, probabilities[best]) if sure else Language(overall, whole[overall]))
    return chosen
