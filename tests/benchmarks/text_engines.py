"""Both text engines on frames with known text: character error rate and CPU time a frame, side by side.

Usage: text_engines.py MEDIA [--frames N] [--engines ppocr,easyocr] [--canvas 416,640]
Captions are rendered anew over frames of the clips in MEDIA, with seeds 1, 2 and 3, N frames each; photos are those of MEDIA/c_text.
Times are process CPU time on one thread. The error rate is Levenshtein's distance to the best reading, or join of up to three readings that
follow one another, over the length of the text; spaces and letter case ignored.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

from captions import fonts
from pictures import batch, clip
from rumiai_ray.models.ocr.model import Ocr
from rumiai_ray.models.ocr.settings import OcrSettings
from rumiai_ray.models.weights.choice import default_directories, resolve
from text_frames import PHOTOS, Frame, photos, rendered
from text_metrics import edit_distance

SEEDS = (1, 2, 3)
_MISREAD = 0.15
CLIP_S = 3
CLIPS = (
    "c_text_derived/tt_grid4_captions_720x1280.mp4", "c_text_derived/tt_dog_voiceover_720x1280.mp4",
    "c_text_derived/tt_textcards_no_person_720x1280.mp4", "d_emotion/pyfeat_sad_to_happy_pexels.mp4",
    "d_emotion/pyfeat_face_then_noface.mov",
    "c_text/moviepy_smpte_counters.mp4",
)  # fmt: skip
"""Real clips with captions, with text in the scene, with a counter, and without any."""


def error_rate(line: str, readings: list[str]) -> float:
    """The error rate of one line; at most 1."""
    truth = "".join(line.lower().split())
    runs = (
        "".join("".join(readings[i:j]).lower().split()) for i in range(len(readings)) for j in range(i + 1, min(i + 3, len(readings)) + 1)
    )
    return min([1.0, *(edit_distance(truth, run) / len(truth) for run in runs)])


def reader(engine: str, canvas_px: int | None) -> Ocr:
    """The loaded model, one thread."""
    settings = OcrSettings(engine=engine, threads=1, canvas_px=canvas_px)  # type: ignore[arg-type]  # checked by pydantic
    model = Ocr(resolve(Ocr, settings, profile="offline", directories=default_directories()))
    model.load()
    model.predict(batch(np.zeros((1, 1280, 720, 3), np.uint8)))
    return model


def measured(model: Ocr, frames: list[Frame]) -> tuple[list[float], float]:
    """The error rate of every line, and the CPU seconds of a frame."""
    rates = []
    started = time.process_time()
    spent = 0.0
    for frame in frames:
        started = time.process_time()
        rows = model.predict(batch(frame.image[None])).tables["texts"].to_pylist()
        spent += time.process_time() - started
        rates += [error_rate(line, [row["text"] for row in rows if row["text"]]) for line in frame.lines]
    return rates, spent / len(frames)


def of_clips(model: Ocr, media: Path) -> tuple[float, int, int]:
    """CPU seconds for a second of real clips, each engine at its own frame rate; rows, and how many of them were carried over."""
    fps = model.plan.settings.model_dump()["fps"] or (1.0 if "easyocr" in model.plan.backend else 5.0)
    spent_s, rows = 0.0, []
    for name in CLIPS:
        images = clip(media / name, [at / fps for at in range(int(CLIP_S * fps))])
        started = time.process_time()
        rows += model.predict(batch(images)).tables["texts"].to_pylist()
        spent_s += time.process_time() - started
    return spent_s / (CLIP_S * len(CLIPS)), len(rows), sum(row["carried"] for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("media", type=Path)
    parser.add_argument("--frames", type=int, default=28)
    parser.add_argument("--engines", default="ppocr,easyocr")
    parser.add_argument("--canvas", default="")
    asked = parser.parse_args()
    sets = {f"captions, seed {seed}": rendered(asked.media, seed, asked.frames) for seed in SEEDS} | {"photos": photos(asked.media)}
    print(f"{len(SEEDS)} x {asked.frames} captioned frames, {len(set(fonts()))} fonts; {len(PHOTOS)} photos; one thread", file=sys.stderr)
    print("| engine | long side | frames | lines | CPU-s a frame | mean CER | lines over 0.15 |\n|---|---|---|---|---|---|---|")
    for engine in asked.engines.split(","):
        canvases: list[int | None] = [int(one) for one in asked.canvas.split(",") if one]
        for canvas in canvases or [None]:
            model = reader(engine, canvas)
            everything: defaultdict[str, list[float]] = defaultdict(list)
            for name, frames in sets.items():
                rates, cpu_s = measured(model, frames)
                everything["captions" if "seed" in name else name] += rates
                bad = sum(rate > _MISREAD for rate in rates)
                side = canvas or OcrSettings(engine=engine).long_side_px
                print(
                    f"| {engine}, {name} | {side} | {len(frames)} | {len(rates)} | {cpu_s:.3f} | {np.mean(rates):.4f} | {bad} |", flush=True
                )
            rates = everything["captions"]
            print(f"| {engine}, all captions | {side} | | {len(rates)} | | {np.mean(rates):.4f} | {sum(r > _MISREAD for r in rates)} |")
            of_second_s, found, carried = of_clips(model, asked.media)
            print(
                f"| {engine}, {len(CLIPS)} clips of {CLIP_S} s | {side} | | | {of_second_s:.3f} a second | | {found}, {carried} carried |"
            )
            model.close()


if __name__ == "__main__":
    main()
