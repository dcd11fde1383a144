"""An entry of the store as ordinary files: pictures, sound and facts to look at and listen to."""

from __future__ import annotations

import json
import wave
from dataclasses import asdict
from typing import TYPE_CHECKING

from rumiai_ray.frames.store.files import storage_errors
from rumiai_ray.frames.types import AUDIO_RATE_HZ

if TYPE_CHECKING:
    from pathlib import Path

    from rumiai_ray.frames.store.stored import StoredVideo

_BYTES_PER_SAMPLE = 2


def export(video: StoredVideo, directory: Path) -> list[Path]:
    """Write an entry's frames as `frame_<index>_<time>s.jpg`, its audio as `audio.wav`, its facts as `facts.json`.

    The times of audio and video differ by `audio_start_s` of the facts: a WAV file always begins at 0.

    Args:
        video: open entry.
        directory: created. Nothing is written over: none of these files may be there yet.

    Returns:
        The files written, in that order; no `audio.wav` where the video has no audio.

    Raises:
        StorageError: the directory cannot be written.
    """
    written = []
    with storage_errors("exporting", directory):
        directory.mkdir(parents=True, exist_ok=True)
        for batch in video.batches():
            for index, time_s, jpeg in zip(batch.frame_index, batch.time_s, batch.jpegs, strict=True):
                written.append(directory / f"frame_{index:05d}_{time_s:09.3f}s.jpg")
                with written[-1].open("xb") as picture:
                    picture.write(jpeg)
        audio = video.audio()
        if audio is not None:
            written.append(directory / "audio.wav")
            with written[-1].open("xb") as sound, wave.open(sound, "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(_BYTES_PER_SAMPLE)
                file.setframerate(AUDIO_RATE_HZ)
                file.writeframes(audio.samples.astype("<i2").tobytes())
        written.append(directory / "facts.json")
        with written[-1].open("x", encoding="utf-8") as facts:
            json.dump(asdict(video.facts), facts, indent=2, ensure_ascii=False)
    return written
