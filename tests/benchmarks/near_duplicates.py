"""How long clustering takes among many hashes made at random, how much memory it needs, and how many planted near-duplicates it finds.

Usage: near_duplicates.py [--hashes 1000000] [--planted 1000] [--changed 0.06]
A video has 8 hashes of whole pictures and 12 of one picture's parts. Hashes are of blurred noise, whose neighbouring bits agree as those of
real pictures do. A planted video is a copy of another in whose hashes a share of the bits is changed.
"""

from __future__ import annotations

import argparse
import resource
import time
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from rumiai_ray.corpus.duplicates.clusters import matches
from rumiai_ray.corpus.duplicates.hashed import HashedCorpus
from rumiai_ray.corpus.duplicates.hashes import telling
from rumiai_ray.corpus.duplicates.matching import STEP_S, VIEWS

if TYPE_CHECKING:
    from numpy.typing import NDArray

WHOLES = 8
_EACH = WHOLES + len(VIEWS) - 1
_BLOBS = 7
_AT_A_TIME = 20_000


def blurred_noise(rng: np.random.Generator, count: int) -> NDArray[np.uint8]:
    """(count, 32) hashes: the bits above the median of noise of 7 x 7 that was made 16 x 16."""
    single = np.eye(_BLOBS**2, dtype=np.float32).reshape(-1, _BLOBS, _BLOBS)
    basis = np.stack([cv2.resize(one, (16, 16), interpolation=cv2.INTER_CUBIC).ravel() for one in single])
    found = []
    for first in range(0, count, _AT_A_TIME):
        noise = rng.normal(size=(min(_AT_A_TIME, count - first), _BLOBS**2)).astype(np.float32) @ basis
        found.append(np.packbits(noise > np.median(noise, axis=1, keepdims=True), axis=1, bitorder="little"))
    return np.concatenate(found)


def made_corpus(hashes: int, planted: int, changed: float, seed: int = 1) -> HashedCorpus:
    """A corpus of so many hashes whose last videos are copies of its first."""
    rng = np.random.default_rng(seed)
    videos = hashes // _EACH
    made = blurred_noise(rng, videos * _EACH).reshape(videos, _EACH, -1)
    for number in range(planted):
        bits = rng.random((_EACH, 256)) < changed
        made[videos - 1 - number] = made[number] ^ np.packbits(bits, axis=1)
    flat = made.reshape(videos * _EACH, -1)
    time_s = np.concatenate([np.zeros(len(VIEWS)), np.arange(1, WHOLES) * STEP_S])
    view = np.concatenate([np.arange(len(VIEWS)), np.zeros(WHOLES - 1, np.int64)])
    return HashedCorpus(
        keys=[f"{number:08}" for number in range(videos)],
        duration_s=np.full(videos, WHOLES * STEP_S),
        hashes=flat,
        known=telling(flat),
        time_s=np.tile(time_s, videos),
        view=np.tile(view, videos),
        video=np.repeat(np.arange(videos), _EACH),
    )


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Print what was measured, and give it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hashes", type=int, default=1_000_000)
    parser.add_argument("--planted", type=int, default=1_000)
    parser.add_argument("--changed", type=float, default=0.06)
    options = parser.parse_args(arguments)
    corpus = made_corpus(options.hashes, options.planted, options.changed)
    before_gb = _peak_gb()
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    found = {(first, second) for first, second, _ in matches(corpus)}
    wall_s, cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
    wanted = {(number, len(corpus.keys) - 1 - number) for number in range(options.planted)}
    measured = {
        "hashes": len(corpus.hashes),
        "videos": len(corpus.keys),
        "wall_s": round(wall_s, 1),
        "cpu_s": round(cpu_s, 1),
        "peak_gb": round(_peak_gb(), 2),
        "before_gb": round(before_gb, 2),
        "planted": options.planted,
        "found": len(found & wanted),
        "others": len(found - wanted),
    }
    print(measured)
    return measured


def _peak_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


if __name__ == "__main__":
    main()
