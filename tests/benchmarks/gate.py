"""Holds what each part costs against a baseline: CPU-seconds a clip, as ratios to a loop that is measured in the same run.

Usage: gate.py CLIPS.txt BASELINE.json [--clips 12] [--rounds 3] [--write] [--plant MODEL=FACTOR]

The parts are `decode` (the frame store filled from nothing) and each model alone in a process of its own. A machine that is slower, or
whose cores are shared, slows the calibration loop as well, so that ratios can be compared where seconds cannot. Each round measures every
part once, with the loop before and after it; a part's ratio is the median of its rounds. Beside the ratios stand the models' row counts,
which must be the baseline's exactly: what finds less is cheap for the wrong reason.

`--write` makes a baseline of ten rounds, in three times the gate's time. A part's tolerance is three standard deviations of its ten ratios,
at least 5 %; where that is 20 % or more no baseline is written, since a regression of 20 % would pass.

Exit codes: 0 nothing grew; 1 something grew, or rows differ; 2 wrong usage, or a machine too noisy for a baseline.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench_script import bench_script, processor
from rumiai_ray.config import load_config
from rumiai_ray.engine.benchmark.models_alone import measure_alone
from rumiai_ray.engine.setup.model_choice import choose_models
from rumiai_ray.engine.setup.run_setup import prepare
from rumiai_ray.ingest.entries import read_manifest
from rumiai_ray.ingest.table import EntryFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rumiai_ray.engine.setup.run_setup import Prepared
    from rumiai_ray.models.base import ModelPlan

DECODE, WHOLE = "decode", "whole"
BASELINE_ROUNDS = 10
LEAST_TOLERANCE = 0.05
NOISY = 0.2
"""A tolerance from which on no baseline is written."""
_DEVIATIONS = 3
_LOOPS = 12
"""Repetitions of the calibration: about a second."""


@dataclass(frozen=True)
class Baseline:
    """What the parts cost on one machine at one commit."""

    ratios: Mapping[str, float]
    """CPU time a clip over the calibration's, by part; `whole` is their sum."""
    tolerances: Mapping[str, float]
    """By part, the growth that is noise."""
    rows: Mapping[str, int]
    """By model, over all clips."""
    clips: int
    rounds: int
    machine: str
    calibration_s: float
    """CPU time of the calibration loop there."""


@dataclass(frozen=True)
class Round:
    """Every part measured once."""

    ratios: Mapping[str, float]
    rows: Mapping[str, int]
    calibration_s: float


def calibrate() -> float:
    """CPU-seconds of a fixed loop on one thread: arithmetic, sorting, memory traffic and plain Python, as in what is measured."""
    dice = np.random.default_rng(1)
    field, noise = dice.random((512, 512), dtype=np.float32), dice.random(400_000)
    there, back = np.empty(8 * 2**20, np.uint8), np.ones(8 * 2**20, np.uint8)
    began_s = time.process_time()
    for _ in range(_LOOPS):
        np.fft.rfft2(field)
        np.sort(noise)
        np.copyto(there, back)
        sum(number * number for number in range(200_000))
    return time.process_time() - began_s


def measured(manifest: Path, plant: Mapping[str, float], models: Sequence[str] = ()) -> Iterator[Round]:
    """Rounds without end. The first decoding of a process costs more than later ones and is not measured."""
    with tempfile.TemporaryDirectory(prefix="rumiai-gate-") as name:
        bench_script().rows_of(_prepared(manifest, Path(name), models), Path(name))
    for _ in iter(int, 1):
        with tempfile.TemporaryDirectory(prefix="rumiai-gate-") as name:
            yield _round(manifest, Path(name), plant, models)


def _prepared(manifest: Path, folder: Path, models: Sequence[str]) -> Prepared:
    """A run over an empty frame store in `folder`."""
    flags: dict[str, Any] = {"profile": "offline", "out": str(folder / "runs"), "store": str(folder / "store"), "device": "cpu"}
    config = load_config(flags=flags | ({"models": ",".join(models)} if models else {}))
    return prepare(config, choose_models(config), EntryFile.of(read_manifest(str(manifest))), command=sys.argv)


def _round(manifest: Path, folder: Path, plant: Mapping[str, float], models: Sequence[str]) -> Round:
    prepared = _prepared(manifest, folder, models)
    before_s, began_s = calibrate(), _cpu_s()
    works, videos = bench_script().rows_of(prepared, folder)
    cost_s, after_s = {DECODE: _cpu_s() - began_s}, calibrate()
    loops_s, rows = {DECODE: (before_s + after_s) / 2}, {}
    for plan in prepared.models:
        alone = measure_alone(_planted(plan, plant), works, prepared.manifest.source_sha256)
        before_s, after_s = after_s, calibrate()
        cost_s[plan.name], rows[plan.name], loops_s[plan.name] = alone.cpu_s, alone.rows, (before_s + after_s) / 2
    ratios = {part: used_s / videos / loops_s[part] for part, used_s in cost_s.items()}
    return Round(ratios | {WHOLE: sum(ratios.values())}, rows, statistics.median(loops_s.values()))


def _cpu_s() -> float:
    """CPU time of this process and of its children that have ended."""
    return sum(os.times()[:4])


def _planted(plan: ModelPlan, plant: Mapping[str, float]) -> ModelPlan:
    if plan.name not in plant:
        return plan
    os.environ["GATE_PLANTED_FACTOR"] = str(plant[plan.name])
    return replace(plan, implementation=f"slowed:{plan.name}")


def median_of(rounds: Sequence[Round]) -> dict[str, float]:
    """By part, the median ratio."""
    return {part: statistics.median(one.ratios[part] for one in rounds) for part in rounds[0].ratios}


def baseline_of(rounds: Sequence[Round], clips: int) -> Baseline:
    """The baseline that these rounds make.

    Raises:
        ValueError: a part varies too much, or the rounds gave different rows.
    """
    ratios = median_of(rounds)
    tolerances = {}
    for part, ratio in ratios.items():
        deviation = statistics.stdev(one.ratios[part] for one in rounds) / ratio if ratio else 0.0
        tolerances[part] = round(max(LEAST_TOLERANCE, _DEVIATIONS * deviation), 3)
    noisy = [f"{part} ({tolerance:.0%})" for part, tolerance in tolerances.items() if tolerance >= NOISY]
    if noisy:
        raise ValueError(f"too noisy for a baseline: {', '.join(noisy)}; run it on a quiet machine")
    if any(one.rows != rounds[0].rows for one in rounds):
        raise ValueError(f"the rounds gave different rows: {[dict(one.rows) for one in rounds]}")
    loop_s = statistics.median(one.calibration_s for one in rounds)
    rounded = {part: round(ratio, 4) for part, ratio in ratios.items()}
    return Baseline(rounded, tolerances, rounds[0].rows, clips, len(rounds), processor(), round(loop_s, 3))


def verdict(rounds: Sequence[Round], baseline: Baseline) -> list[str]:
    """What is wrong, by the name of the part; nothing where nothing grew."""
    ratios, wrong = median_of(rounds), []
    if ratios.keys() != baseline.ratios.keys():
        wrong.append(f"parts {sorted(ratios)} were measured, and the baseline has {sorted(baseline.ratios)}: write a new one")
    for part in [part for part in ratios if part in baseline.ratios]:
        growth = ratios[part] / baseline.ratios[part] - 1
        if growth > baseline.tolerances[part]:
            wrong.append(f"{part} grew by {growth:.0%}; {baseline.tolerances[part]:.0%} is noise")
    for one in rounds:
        wrong += [
            f"{model} gave {one.rows.get(model)} rows, not {count}"
            for model, count in baseline.rows.items()
            if one.rows.get(model) != count
        ]
    return list(dict.fromkeys(wrong))


def table(rounds: Sequence[Round], baseline: Baseline | None) -> str:
    """The ratios, for people."""
    lines = [f"{'part':10} {'ratio':>8} {'baseline':>9} {'growth':>7} {'noise':>6} {'rows':>6}"]
    for part, ratio in median_of(rounds).items():
        rows = str(rounds[0].rows.get(part, ""))
        if baseline is None or part not in baseline.ratios:
            lines.append(f"{part:10} {ratio:8.4f} {'':9} {'':7} {'':6} {rows:>6}")
            continue
        held, noise = baseline.ratios[part], baseline.tolerances[part]
        lines.append(f"{part:10} {ratio:8.4f} {held:9.4f} {ratio / held - 1:+7.1%} {noise:6.1%} {rows:>6}")
    loop_s = statistics.median(one.calibration_s for one in rounds)
    return "\n".join([*lines, f"ratio: CPU-seconds a clip over the calibration's {loop_s:.2f}; median of {len(rounds)} rounds"])


def _factors(given: Sequence[str]) -> dict[str, float]:
    return {name: float(factor) for name, _, factor in (one.partition("=") for one in given)}


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser()
    parser.add_argument("manifest", type=Path)
    parser.add_argument("baseline", type=Path)
    parser.add_argument("--clips", type=int, default=12, help="clips of the manifest, spread over it")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--models", default="", help="only these")
    parser.add_argument("--write", action="store_true", help="make the baseline of ten rounds")
    parser.add_argument("--plant", action="append", default=[], metavar="MODEL=FACTOR", help="slow a model down, to see the gate fail")
    asked = parser.parse_args()
    if not (asked.write or asked.baseline.exists()):
        parser.error(f"there is no baseline {asked.baseline}: write one with --write, on a quiet machine")
    if asked.write and (asked.plant or asked.models):
        parser.error("a baseline is of all models as they are: --write goes with neither --plant nor --models")
    baseline = None if asked.write else Baseline(**json.loads(asked.baseline.read_text(encoding="utf-8")))
    every = [clip for clip in asked.manifest.read_text(encoding="utf-8").split("\n") if clip]
    clips = every[:: max(1, len(every) // asked.clips)][: asked.clips]
    if baseline and len(clips) != baseline.clips:
        parser.error(f"the baseline is of {baseline.clips} clips, and {len(clips)} are here")
    rounds: list[Round] = []
    with tempfile.TemporaryDirectory(prefix="rumiai-gate-") as name:
        manifest = Path(name) / "clips.txt"
        manifest.write_text("".join(f"{(asked.manifest.parent / clip).resolve()}\n" for clip in clips), encoding="utf-8")
        for one in measured(manifest, _factors(asked.plant), [name for name in asked.models.split(",") if name]):
            rounds.append(one)
            print(f"round {len(rounds)}: " + " ".join(f"{part}={ratio:.4f}" for part, ratio in one.ratios.items()), file=sys.stderr)
            if len(rounds) >= (BASELINE_ROUNDS if asked.write else asked.rounds):
                break
    if baseline is None:
        print(table(rounds, None))
        try:
            made = baseline_of(rounds, len(clips))
        except ValueError as error:
            print(error, file=sys.stderr)
            return 2
        asked.baseline.write_text(json.dumps(asdict(made), indent=2) + "\n", encoding="utf-8")
        return 0
    print(table(rounds, baseline))
    wrong = verdict(rounds, baseline)
    if wrong and processor() != baseline.machine:
        wrong.append(f"the baseline is of {baseline.machine}, this is {processor()}: ratios and rows may differ for that alone")
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
