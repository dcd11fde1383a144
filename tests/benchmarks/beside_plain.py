"""This project beside the plain script, on the same clips in turn: what each costs, and what each finds. Prints README's table.

Usage: beside_plain.py CLIPS.txt FOLDER [--clips 40]
In turn, each in processes of its own: `plain.py`; a batch whose frame store is full (warm); a batch whose frame store is empty (cold).

- **Whole process**: from the start of the command to its end, imports, loading of models and Ray included.
- **Steady state**: the plain script's clock runs over the clips, models loaded and asked once. A batch's clock is that of `jobs/bench.py`:
  it starts when every model has answered a call and stops with the last commit, and calls that began before it count for nothing. A batch
  reads ahead while models load, so a cold batch's clock would miss the decoding: the steady state of a cold store is that of a warm one and
  what filling the store costs, its CPU-seconds spread over the cores.
- **CPU-seconds** are user and system time of all processes. Where other programs used more than 5 % of the cores, they alone are to be
  believed.

Exit codes: 0 measured on a quiet machine; 1 measured, but other programs ran; 2 wrong usage.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from bench_script import CORES, ROOT, bench_script, processor, whole
from known_clips import CAPTIONS, SENTENCES
from rumiai_ray.config import load_config
from rumiai_ray.engine.setup.model_choice import choose_models
from rumiai_ray.ingest.entries import read_manifest
from rumiai_ray.ingest.table import EntryFile
from rumiai_ray.runs.reader import open_run
from text_metrics import best_reading, word_error_rate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

QUIET = 0.05
SAME_TIME_S = 0.02
SAME_BOX, NEAR_BOX = 0.9, 0.5
"""Two boxes are the same from the first overlap on; from the second on they are of the same thing, measured otherwise."""
FACE = "a face"
PIECE_S = 3.0
"""Clips are pieces of this length of longer ones; see `cut_clips.py`."""
_EDGE_S = 0.2
"""So near to its beginning and end a caption may or may not be shown in a sampled frame."""
_DOG = (("POV my dog loves fetch", 0.0, 3.0), ("wait for it", 3.0, 6.0), ("LINK IN BIO", 6.0, 9.0))
_CARDS = (("3 TIPS FOR BETTER SLEEP", 0.0, 2.0), ("NO PHONE AFTER 10 PM", 2.0, 4.0), ("KEEP THE ROOM COOL", 4.0, 6.0))
SHOWN = {
    "tt_grid4_captions_720x1280": tuple((text, start, end) for text, (start, end) in CAPTIONS.items()),
    "tt_dog_voiceover_720x1280": _DOG,
    "tt_textcards_no_person_720x1280": _CARDS,
}
"""Captions of the clips before they were cut, from when to when."""
TIMECODE, TIMECODE_FPS = "autoeditor_example_voice_timecode", 30
"""The clip that shows its own time."""
SAID = {
    "grid_bbaf2n": {0: "bin blue at f two now"},
    "grid_brbk7n": {0: "bin red by k seven now"},
    "grid_lwbsza": {0: "lay white by s zero again"},
    "grid_id2_vcd_swwp2s": {0: "set white with p two soon"},
    "tt_grid4_captions_720x1280": dict(enumerate(SENTENCES)),
}
"""Sentences by clip and piece."""


@dataclass(frozen=True)
class Box:
    """What one side found at a place in a frame."""

    label: str
    corners: tuple[float, float, float, float]


@dataclass(frozen=True)
class Found:
    """What one side found in one clip."""

    boxes: Mapping[float, Sequence[Box]]
    """Objects by their label and faces as `a face`, by the frame's time in seconds; every frame that was looked at."""
    texts: Mapping[float, Sequence[str]]
    """Readings in reading order, by the frame's time; every frame in which text was looked for."""
    words: str


@dataclass(frozen=True)
class Cost:
    """What one side took for all clips, steady state, and as a whole process."""

    clip_s: float
    clip_cpu_s: float
    whole_s: float
    whole_cpu_s: float
    others: float
    """Share of the cores that other programs used."""


def overlap(one: Sequence[float], other: Sequence[float]) -> float:
    """Intersection over union of two boxes x1, y1, x2, y2."""
    width, height = min(one[2], other[2]) - max(one[0], other[0]), min(one[3], other[3]) - max(one[1], other[1])
    shared = max(width, 0.0) * max(height, 0.0)
    areas = sum((x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in (one, other))
    return shared / (areas - shared) if areas > shared else 0.0


def found_again(mine: Sequence[Box], theirs: Sequence[Box], least: float = SAME_BOX) -> int:
    """How many of `mine` are among `theirs`, each of which stands for one."""
    pairs = sorted(
        ((overlap(a.corners, b.corners), i, j) for i, a in enumerate(mine) for j, b in enumerate(theirs) if a.label == b.label),
        reverse=True,
    )
    taken: set[int] = set()
    matched: set[int] = set()
    for share, i, j in pairs:
        if share >= least and i not in matched and j not in taken:
            matched.add(i)
            taken.add(j)
    return len(matched)


def agreement(mine: Mapping[str, Found], theirs: Mapping[str, Found], *, faces: bool, least: float = SAME_BOX) -> tuple[int, int]:
    """How many of my boxes, and how many of these the other side has, in the frames that both looked at.

    Raises:
        ValueError: a frame has no counterpart: the two sides did not sample alike.
    """
    count = again = 0
    for clip, found in mine.items():
        for time_s, boxes in found.boxes.items():
            wanted = [box for box in boxes if (box.label == FACE) == faces]
            there = [other for at_s, other in theirs[clip].boxes.items() if abs(at_s - time_s) <= SAME_TIME_S]
            if len(there) != 1:
                raise ValueError(f"{clip} at {time_s:.3f} s: {len(there)} frames on the other side")
            count += len(wanted)
            again += found_again(wanted, there[0], least)
    return count, again


def character_errors(found: Mapping[str, Found]) -> list[float]:
    """The error rate of every caption in every frame that shows it for certain and was looked at."""
    rates = []
    for clip, each in found.items():
        source, _, number = Path(clip).stem.rpartition("_")
        for at_s, readings in each.texts.items():
            rates += [best_reading(text, readings) for text in captions_at(source, at_s + int(number) * PIECE_S)]
    return rates


def captions_at(source: str, at_s: float) -> list[str]:
    """What a clip shows at a time, as far as it is known."""
    if source == TIMECODE:
        seconds, frames = divmod(round(at_s * TIMECODE_FPS), TIMECODE_FPS)
        return [f"01:00:{seconds:02}:{frames:02}"]
    return [text for text, start, end in SHOWN.get(source, ()) if start + _EDGE_S <= at_s <= end - _EDGE_S]


def word_errors(found: Mapping[str, Found]) -> list[float]:
    """The word error rate of every sentence that is known."""
    rates = []
    for clip, each in found.items():
        source, _, number = Path(clip).stem.rpartition("_")
        sentence = SAID.get(source, {}).get(int(number))
        if sentence is not None:
            rates.append(word_error_rate(sentence, each.words))
    return rates


def plain_found(document: Mapping[str, Any]) -> dict[str, Found]:
    """What `plain.py` wrote."""
    found = {}
    for clip, result in document["clips"].items():
        boxes = {
            frame["time_s"]: [Box(each["label"], tuple(each["box"])) for each in frame["objects"]]
            + [Box(FACE, tuple(box)) for box in frame["faces"]]
            for frame in result["frames"]
        }
        texts = {frame["time_s"]: frame["texts"] for frame in result["frames"] if "texts" in frame}
        found[clip] = Found(boxes, texts, "".join(result["words"]))
    return found


def our_found(run_folder: Path, times_s: Mapping[str, Sequence[float]]) -> dict[str, Found]:
    """What is in a run.

    Args:
        run_folder: of the run.
        times_s: times of the sampled frames by video key; a run has no row of a frame in which nothing was found.
    """
    run = open_run(run_folder)
    rows: defaultdict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for table in ("objects", "faces", "texts", "words"):
        for row in run.table(table).to_pylist():
            rows[row["video_key"], table].append(row)
    found = {}
    for video in run.table("videos", ["input", "video_key"]).to_pylist():
        key = video["video_key"]
        boxes: dict[float, list[Box]] = {time_s: [] for time_s in times_s[key]}
        texts: dict[float, list[str]] = {time_s: [] for time_s in times_s[key]}
        for row in (*rows[key, "objects"], *rows[key, "faces"]):
            boxes[row["time_s"]].append(Box(row.get("label", FACE), (row["x1"], row["y1"], row["x2"], row["y2"])))
        for row in sorted(rows[key, "texts"], key=lambda row: (row["frame_index"], row["text_index"])):
            texts[row["time_s"]] += [row["text"]] if row["text"] else []
        words = sorted(rows[key, "words"], key=lambda row: row["word_index"])
        found[Path(video["input"]).name] = Found(boxes, texts, " ".join(row["word"] for row in words))
    return found


def our_side(manifest: Path, folder: Path, store: Path, calls: Mapping[str, int] | None) -> dict[str, Any]:
    """One batch, as `jobs/bench.py` watches it; with `calls` None the frame store is filled first, and what that costs is told."""
    bench = bench_script()
    config = load_config(flags={"profile": "offline", "device": "cpu", "store": store, "out": str(folder / "runs")})
    prepared = bench.prepare(config, choose_models(config), EntryFile.of(read_manifest(str(manifest))), command=sys.argv)
    told: dict[str, Any] = {}
    if calls is None:
        began_s, cpu_began_s = time.monotonic(), _cpu_s()
        works, _ = bench.rows_of(prepared, folder)
        told |= {"fill_s": time.monotonic() - began_s, "fill_cpu_s": _cpu_s() - cpu_began_s}
        calls = {plan.name: sum(plan.name in work.wanted for work in works) for plan in prepared.models}
        times_s: defaultdict[str, list[float]] = defaultdict(list)
        for work in works:
            if work.frames is not None:
                times_s[work.video_key] += work.frames.time_s.tolist()
        told |= {"calls": calls, "times_s": times_s}
        del works
    watched = bench.watch(prepared, folder, calls)
    return told | asdict(watched) | {"run": str(folder / "runs" / prepared.manifest.run_id), "calls": calls}


def _cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def counted_share(watched: Mapping[str, Any]) -> float:
    """The share of a batch's work that was done on the clock: of all models' calls, each weighed with its model's CPU-seconds."""
    counted = {name: 1 - watched["begun_before"].get(name, 0) / calls for name, calls in watched["calls"].items() if calls}
    on_clock = {name: watched["cpu_s"].get(name, 0.0) for name in counted}
    return float(sum(on_clock.values()) / sum(on_clock[name] / counted[name] for name in counted if counted[name]))


def measured(manifest: Path, clips: int, folder: Path) -> tuple[dict[str, Cost], dict[str, dict[str, Found]]]:
    """All three, in turn: cost by `plain`, `warm` and `cold`, and what the first two found."""
    plain_json = folder / "plain.json"
    took = {"plain": whole([sys.executable, ROOT / "tests/benchmarks/plain.py", manifest, plain_json], folder)}
    ours: dict[str, dict[str, Any]] = {}
    for name in ("warm", "cold"):
        (folder / name).mkdir()
        told = folder / f"{name}.json"
        command: list[str | Path] = [sys.executable, Path(__file__), manifest, folder / name]
        command += ["--batch", told, "--store", folder / f"store-{name}"]
        command += ["--calls", folder / "warm.json"] if name == "cold" else []
        took[name] = whole(command, folder)
        ours[name] = json.loads(told.read_text(encoding="utf-8"))
    plain = json.loads(plain_json.read_text(encoding="utf-8"))
    costs = {"plain": Cost(plain["clock_s"] / clips, plain["cpu_s"] / clips, *took["plain"])}
    warm, cold = ours["warm"], ours["cold"]
    counted = clips * counted_share(warm)
    clip_s, clip_cpu_s = warm["clock_s"] / counted, sum(warm["cpu_s"].values()) / counted
    whole_s, whole_cpu_s, others = took["warm"]
    costs["warm"] = Cost(clip_s, clip_cpu_s, whole_s - warm["fill_s"], whole_cpu_s - warm["fill_cpu_s"], others)
    fill_s = warm["fill_cpu_s"] / clips
    costs["cold"] = Cost(clip_s + fill_s / CORES, clip_cpu_s + fill_s, *took["cold"])
    assert cold["calls"] == warm["calls"]
    return costs, {"plain": plain_found(plain), "ours": our_found(Path(warm["run"]), warm["times_s"])}


def table(costs: Mapping[str, Cost], found: Mapping[str, Mapping[str, Found]], clips: int) -> str:
    """README's table, in Markdown."""
    plain, warm, cold = costs["plain"], costs["warm"], costs["cold"]
    quiet = all(cost.others <= QUIET for cost in costs.values())
    lines = [f"| {clips} clips of 3 s | plain | warm store | ratio | cold store | ratio |", "|---|---|---|---|---|---|"]
    for name, field in (
        ("seconds a clip, steady state", "clip_s"), ("CPU-seconds a clip, steady state", "clip_cpu_s"),
        ("seconds, whole process", "whole_s"), ("CPU-seconds, whole process", "whole_cpu_s"),
    ):  # fmt: skip
        values = [float(getattr(cost, field)) for cost in (plain, warm, cold)]
        first, second = (f"{values[0] / value:.1f}" for value in values[1:])
        shown = [f"{value:.2f}" if "a clip" in name else f"{value:.0f}" for value in values]
        lines.append(f"| {name} | {shown[0]} | {shown[1]} | **{first}** | {shown[2]} | **{second}** |")
    lines += ["", "| found | plain | this project |", "|---|---|---|"]
    for kind, faces in (("objects", False), ("faces", True)):
        for least in (SAME_BOX, NEAR_BOX):
            mine, again = agreement(found["plain"], found["ours"], faces=faces, least=least)
            theirs, back = agreement(found["ours"], found["plain"], faces=faces, least=least)
            lines += [f"| {kind} | {mine} | {theirs} |"] if least == SAME_BOX else []
            lines.append(f"| of the other side's {kind}, at IoU ≥ {least} | {back / max(theirs, 1):.3f} | {again / max(mine, 1):.3f} |")
    for kind, rate_of in (("captions, character error rate", character_errors), ("sentences, word error rate", word_errors)):
        rates = [rate_of(found[side]) for side in ("plain", "ours")]
        lines.append(f"| {kind} | " + " | ".join(f"{sum(each) / len(each):.4f} ({len(each)})" for each in rates) + " |")
    share = max(cost.others for cost in costs.values())
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], check=True, capture_output=True, text=True, cwd=ROOT).stdout.strip()  # noqa: S607 -- whichever git
    lines += ["", f"{CORES} cores of {processor()}, {psutil.virtual_memory().total / 2**30:.0f} GB, commit {commit}."]
    lines.append(
        f"Other programs used at most {share:.1%} of the cores" + ("." if quiet else ": not quiet, the CPU-seconds alone can be believed.")
    )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("manifest", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clips", type=int, default=40, help="clips of the manifest that are analysed, from its beginning")
    parser.add_argument("--batch", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--store", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--calls", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.batch:
        calls = json.loads(asked.calls.read_text(encoding="utf-8"))["calls"] if asked.calls else None
        asked.batch.write_text(json.dumps(our_side(asked.manifest, asked.folder, asked.store, calls)), encoding="utf-8")
        return
    asked.folder.mkdir(parents=True, exist_ok=True)
    clips = [clip for clip in asked.manifest.read_text(encoding="utf-8").split("\n") if clip][: asked.clips]
    with tempfile.TemporaryDirectory(dir=asked.folder) as name:
        folder = Path(name).resolve()
        manifest = folder / "clips.txt"
        manifest.write_text("".join(f"{clip}\n" for clip in clips), encoding="utf-8")
        costs, found = measured(manifest, len(clips), folder)
    print(table(costs, found, len(clips)))
    sys.exit(0 if all(cost.others <= QUIET for cost in costs.values()) else 1)


if __name__ == "__main__":
    main()
