"""Runs, data files, store entries and Parquet manifests with seeded damage, some of it under digests that fit."""

from __future__ import annotations

import hashlib
import json
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from hostile_files import PLAIN_CHANGES, changed
from hostile_seeds import seeds
from hostile_targets import parquet
from rumiai_ray.errors import RumiaiError, StorageError
from rumiai_ray.frames.limits import DecodeLimits
from rumiai_ray.frames.sampling import SamplingSpec
from rumiai_ray.frames.store.entry import COMPLETE, CompletionRecord
from rumiai_ray.frames.store.files import sha256_of
from rumiai_ray.frames.store.store import FrameStore
from rumiai_ray.runs.commits import record_path, seal
from rumiai_ray.runs.reader import open_run
from rumiai_ray.runs.writer import MANIFEST, RunWriter
from synthetic_clips import grid_times_s, make_clip
from synthetic_run import RUN_ID, manifest, rows_of

if TYPE_CHECKING:
    import random
    from pathlib import Path

KINDS = ("record", "run-manifest", "data-file", "data-file-sealed", "entry", "entry-sealed", "parquet-manifest")
"""What is damaged. `-sealed`: with digests that fit, as somebody makes it who hands a run or a store on."""


def lay(folder: Path) -> None:
    """A sound run and a sound store in `folder`, from which every case takes its copy."""
    writer = RunWriter.create(folder / "runs", manifest())
    for entry in ("a", "b"):
        writer.add(rows_of(entry))
        writer.commit([entry])
    writer.finish("complete", {"videos": 2})
    clip = make_clip(folder / "clip.mp4", grid_times_s(10, 1), sound_from_to_s=[(0, 1)])
    with _store(folder).ensure(clip, hashlib.sha256(clip.read_bytes()).hexdigest()):
        pass


def tried(kind: str, sound: Path, scratch: Path, dice: random.Random) -> str:
    """`refused` or `analysed`. Whatever is raised is a fault of the package; so is damage under a digest that goes unnoticed.

    Args:
        kind: one of `KINDS`.
        sound: what `lay` has made.
        scratch: an empty folder.
        dice: decides about the damage.
    """
    if kind == "parquet-manifest":
        try:
            parquet(_damaged(seeds("parquet")[0], dice))
        except RumiaiError:
            return "refused"
        return "analysed"
    return _entry(sound, scratch, dice, sealed="sealed" in kind) if kind.startswith("entry") else _run(kind, sound, scratch, dice)


def _run(kind: str, sound: Path, scratch: Path, dice: random.Random) -> str:
    shutil.copytree(sound / "runs", scratch / "runs")
    root = scratch / "runs" / RUN_ID
    record = root / record_path(0)
    if kind == "run-manifest":
        (root / MANIFEST).write_bytes(_damaged((root / MANIFEST).read_bytes(), dice))
    elif kind == "record":
        record.write_bytes(_damaged(record.read_bytes(), dice))
    else:
        before = open_run(root).records[0]
        facts = dice.choice(before.files)
        data = _damaged((root / facts.path).read_bytes(), dice) or b"\0"
        (root / facts.path).write_bytes(data)
        if kind == "data-file-sealed":
            lie = facts.model_copy(update={"size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()})
            record.write_bytes(seal(before.model_copy(update={"files": tuple(lie if one == facts else one for one in before.files)})))
    refused = False
    for look in (lambda run: run.verify(), lambda run: [run.table(name).to_pylist() for name in run.tables()], lambda run: run.entries()):
        try:
            found = look(open_run(root))
        except RumiaiError:
            refused = True
        else:
            refused |= look.__code__.co_names == ("verify",) and bool(found)
    return "refused" if refused else "analysed"


def _entry(sound: Path, scratch: Path, dice: random.Random, *, sealed: bool) -> str:
    shutil.copytree(sound / "store", scratch / "store")
    [complete] = (scratch / "store").glob(f"??/*/{COMPLETE}")
    directory, body = complete.parent, json.loads(complete.read_text())
    target = dice.choice(sorted(body["files"])) if sealed else dice.choice(sorted((*body["files"], COMPLETE)))
    before = (directory / target).read_bytes()
    data = _damaged(before, dice)
    (directory / target).write_bytes(data)
    if sealed:
        body["files"][target] = {"bytes": len(data), "sha256": sha256_of(directory / target)}
        complete.write_text(CompletionRecord(**_without(body)).to_json())
    store = _store(scratch)
    store.entries()
    try:
        with store.open(directory.name) as video:
            if not sealed and data != before and (target != COMPLETE or json.loads(data) != json.loads(before)):
                raise AssertionError(f"damage in {target} under a digest was not noticed")
            for batch in video.batches():
                _ = [len(jpeg) for jpeg in batch.jpegs]
            with suppress(StorageError):
                video.audio()
            video.thumbnails()
            _ = video.times_s.sum()
    except RumiaiError:
        return "refused"
    return "analysed"


def _without(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in {"record_sha256", "format"}}


def _store(folder: Path) -> FrameStore:
    return FrameStore(folder / "store", spec=SamplingSpec(fps=5), limits=DecodeLimits(wall_s=60, cpu_s=60))


def _damaged(data: bytes, dice: random.Random) -> bytes:
    return changed(dice.choice(PLAIN_CHANGES).__name__, data, data, dice)
