"""`make soak-real`: every video of the real media three times over in one batch; results equal to those of one-by-one runs.

`PYTHONPATH=.:tests/support python tests/soak/real.py MEDIA FOLDER [NAME…]` takes the videos that MEDIA/MANIFEST.tsv lists (or those whose
path ends in a NAME), makes two further files of each with the same pictures and sound and other bytes (`sameness.padded_copy`: equal
bytes would be analysed once), and runs all of them, shuffled, through `rumiai-ray batch` with all five models on a Ray of its own. Then
each original is analysed in a run of its own by the interactive engine. Those runs share one warm cell: what a model keeps from one video
to the next would differ between the two orders, and so would show. Every column of every table must be the same, exactly, but for names,
places, sizes and times. Exit code 0: they are.
"""

from __future__ import annotations

import random
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from given_cell import GivenCell
from product import rumiai_ray
from rumiai_ray.config import load_config
from rumiai_ray.engine.cell import cell as cells
from rumiai_ray.engine.cell.policy import cell_spec
from rumiai_ray.engine.interactive import Interactive
from rumiai_ray.engine.ray_session.local import local_ray
from rumiai_ray.engine.setup.machines import plan_of_ray
from rumiai_ray.engine.setup.model_choice import choose_models
from rumiai_ray.engine.setup.run_setup import prepare
from rumiai_ray.ingest.entries import entries_from_inputs
from rumiai_ray.ingest.table import EntryFile
from rumiai_ray.runs.reader import Run, open_run
from sameness import differences, key_of, padded_copy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa

    from rumiai_ray.config import BaseConfig
    from rumiai_ray.engine.work.item import VideoPlan
    from rumiai_ray.ingest.entries import Entry

COPIES = 3


class Silent:
    """A reporter that says nothing."""

    def stage(self, text: str) -> None: ...
    def planned(self, entry: Entry, plan: VideoPlan) -> None: ...
    def progress(self, video_key: str, model: str, answered: int) -> None: ...
    def ended(self, entry: Entry, tables: Mapping[str, pa.Table]) -> None: ...


def videos_of(media: Path, names: Sequence[str]) -> list[Path]:
    """The videos the manifest of the media lists; only those whose path ends in one of `names`, where there are any."""
    lines = [line.split("\t") for line in (media / "MANIFEST.tsv").read_text(encoding="utf-8").splitlines()]
    kind = lines[0].index("kind")
    paths = [media / fields[0] for fields in lines[1:] if fields[kind] == "video"]
    return [path for path in paths if not names or path.name.endswith(tuple(names))]


def multiplied(videos: Sequence[Path], folder: Path) -> dict[str, Path]:
    """Each video `COPIES` times, as files in `folder`, by entry id: `<number of the video>-<number of the copy>`."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for number, video in enumerate(videos):
        for copy in range(COPIES):
            target = folder / f"{number:03}-{copy}{video.suffix}"
            files[target.stem] = padded_copy(video, target, copy) if copy else Path(shutil.copy(video, target))
    return files


def in_one_batch(files: Mapping[str, Path], folder: Path) -> Run:
    """All files in one batch, shuffled."""
    order = sorted(files)
    random.Random(5).shuffle(order)
    manifest = folder / "manifest.csv"
    manifest.write_text("id,input\n" + "".join(f"{entry_id},{files[entry_id]}\n" for entry_id in order), encoding="utf-8")
    options = ("--manifest", manifest, "--out", folder / "runs", "--store", folder / "store", "--run-id", f"batch-{time.time_ns()}")
    ended = rumiai_ray("batch", "--profile", "offline", *options, cwd=folder, timeout_s=6 * 3600)
    sys.stdout.write(ended.stderr)
    return open_run(folder / "runs" / str(options[-1]))


def one_by_one(files: Mapping[str, Path], folder: Path) -> Iterator[tuple[str, Run]]:
    """Each first copy in a run of its own, on one warm cell."""
    config = load_config(flags={"profile": "offline", "out": str(folder / "runs"), "store": str(folder / "store")})
    with local_ray() as here:
        models = choose_models(config)
        cell = cells.start(cell_spec(config, models, plan_of_ray(config, models).cell, here))
        for entry_id in sorted(name for name in files if name.endswith("-0")):
            yield entry_id, _alone(config, files[entry_id], cell, folder)
        cell.close()


def _alone(config: BaseConfig, file: Path, cell: cells.Cell, folder: Path) -> Run:
    prepared = prepare(config, choose_models(config), EntryFile.of(entries_from_inputs([str(file)])), command=["soak"])
    writer = prepared.create_run()
    writer.finish(Interactive(prepared.config, prepared.stage(folder), writer, Silent()).run(list(prepared.entries), GivenCell(cell)), {})
    return open_run(writer.run.uri())


def main() -> int:
    """Run and compare; the number of entries that differ, at most 1 as an exit code."""
    media, folder = (Path(argument).resolve() for argument in sys.argv[1:3])
    folder.mkdir(parents=True, exist_ok=True)
    videos = videos_of(media, sys.argv[3:])
    files = multiplied(videos, folder / "videos")
    batch = in_one_batch(files, folder)
    differing = 0
    for entry_id, run in one_by_one(files, folder):
        (own_entry,) = run.entries()
        name = videos[int(entry_id.partition("-")[0])].name
        copies = [f"{entry_id.partition('-')[0]}-{copy}" for copy in range(COPIES)]
        if len({key_of(batch, copy) for copy in copies}) < COPIES and key_of(batch, copies[0]) is not None:
            raise AssertionError(f"{name}: copies of equal bytes prove nothing")
        found = {copy: differences(batch, copy, run, own_entry) for copy in copies}
        differing += any(found.values())
        sys.stdout.write(f"{name}: {'the same three times' if not any(found.values()) else found}\n")
    sys.stdout.write(f"{len(videos)} videos, {len(files)} entries, batch {batch.status}, {differing} videos differ\n")
    return min(differing, 1)


if __name__ == "__main__":
    sys.exit(main())
