"""Five real runs over a folder of media, and every command on the corpus that they make, with its output.

`RUMIAI_WEIGHTS_DIR=… PYTHONPATH=.:tests/support python tests/soak/show_corpus.py MEDIA PLACE` analyses up to twelve of the videos in
MEDIA: three runs that overlap, one of the first videos with another setting, and the run of an older release in `tests/runs/older`. PLACE
is a new directory; a later call with the same PLACE asks the runs that are there. Ends with 1 where a command did not end as it must.
"""

from __future__ import annotations

import csv
import os
import shlex
import sys
import tarfile
from pathlib import Path

from every_corpus_command import correct, steps
from product import ROOT, rumiai_ray
from rumiai_ray.runs.find import list_runs

OLDER = ROOT / "tests/runs/older/2026-11-27.tar.gz"
VIDEOS = 12
SUFFIXES = {".mp4", ".mov", ".webm", ".mkv"}


def main() -> None:
    """Make the runs, ask, print."""
    media, place = (Path(argument).resolve() for argument in sys.argv[1:3])
    variables = {"RUMIAI_OUT": str(place / "runs"), "RUMIAI_STORE": str(place / "store"), "COLUMNS": os.environ.get("COLUMNS", "160")}
    if not place.exists():
        _make(media, place, variables)
    run = max(list_runs(place / "runs"), key=lambda run: run.manifest.created_at)
    key = run.table("videos", ["video_key"])["video_key"][0].as_py()
    wrong = 0
    for step in steps(run.run_id, key):
        print(f"\n$ rumiai-ray {shlex.join(step.arguments)}", flush=True)
        ended = rumiai_ray(*step.arguments, cwd=place, variables=variables)
        print(ended.stdout + ended.stderr, end="", flush=True)
        if ended.code != step.code or step.says not in ended.stdout + ended.stderr:
            print(f"!! ended with {ended.code}, {step.code} was expected, with {step.says!r}", flush=True)
            wrong += 1
        if step.arguments[0] == "export":
            correct(place)
    sys.exit(1 if wrong else 0)


def _make(media: Path, place: Path, variables: dict[str, str]) -> None:
    videos = sorted(path for path in media.rglob("*") if path.suffix.lower() in SUFFIXES)[:VIDEOS]
    third = max(1, len(videos) // 3)
    (place / "runs").mkdir(parents=True)
    batches: list[tuple[list[Path], list[str]]] = [
        (videos[: 2 * third], []),
        (videos[third:], []),
        (videos[:third], ["--models", "yolo,ocr"]),
        (videos[:third], ["--sampling-fps", "2"]),
    ]
    for number, (chosen, flags) in enumerate(batches):
        manifest = place / f"batch-{number}.csv"
        with manifest.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([["input"], *([str(path)] for path in chosen)])
        ended = rumiai_ray("batch", "--manifest", manifest, *flags, cwd=place, variables=variables)
        print(f"$ rumiai-ray batch --manifest {manifest.name} {shlex.join(flags)}\n{ended.stderr[-500:]}", flush=True)
    with tarfile.open(OLDER) as archive:
        archive.extractall(place / "runs", filter="data")
    (place / "posts.csv").write_text("input\nhttps://example.com/new.mp4\n", encoding="utf-8")


if __name__ == "__main__":
    main()
