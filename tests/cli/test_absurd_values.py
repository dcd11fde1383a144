"""Every verb that reads a run, on runs whose cells hold absurd values of the right type: a page, a table or one named error line."""

from __future__ import annotations

import os
import random
import shutil
import sys
import traceback
from functools import cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from typer.main import get_command

from absurd import full_run, rewrite_table, with_absurd_cells
from rumiai_ray.cli import app
from rumiai_ray.cli.exits import Exit
from rumiai_ray.errors import ConfigError
from rumiai_ray.runs.reader import open_run
from synthetic_clips import grid_times_s, make_clip
from synthetic_run import RUN_ID

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from rumiai_ray.runs.reader import Run

SEEDS = [int(seed) for seed in os.environ.get("ABSURD_SEEDS", "").split()] or list(range(6))
CELLS = int(os.environ.get("ABSURD_CELLS", "8"))


COMMAND_LINE = app.command_line


@cache
def command_line(first: str) -> Any:
    """The command line for a verb, made once: the options of `runs` take 36 ms, and each test calls it seven times."""
    return get_command(COMMAND_LINE(first))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run in `runs` and a clip: each test damages a copy."""
    folder = tmp_path_factory.mktemp("made")
    full_run(folder / "runs")
    make_clip(folder / "clip.mp4", grid_times_s(10, 0.4), sound_from_to_s=[])
    return folder


def copied(made: Path, place: Path) -> Run:
    """The run again in `crafted` at this place, and the clip."""
    shutil.copy(made / "clip.mp4", place)
    shutil.copytree(made / "runs", place / "crafted")
    return open_run(str(place / "crafted" / RUN_ID))


def verbs(sound: str, crafted: str, touched: list[str]) -> list[tuple[str, ...]]:
    """Each call; files are written below `to/`."""
    formats = ("csv", "parquet", "json", "feature-csv")
    return [
        ("report", crafted, "--no-pictures", "--to", "to/report"),
        ("runs", "show", crafted),
        ("runs", "ls"),
        ("runs", "verify", crafted),
        ("runs", "failures", crafted),
        ("runs", "diff", sound, crafted),
        ("runs", "diff", crafted, sound),
        ("runs", "retry", crafted),
        *(("export", crafted, "--to", f"to/{kind}", "--format", kind) for kind in formats),
        ("annotate", crafted, "clip", "to/out.mp4", "--input", "clip.mp4"),
        *(("query", crafted, f"FROM {name}", *how) for name in touched for how in ((), ("--csv",), ("--json",))),
    ]


def broken_verbs(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], calls: Iterable[tuple[str, ...]]
) -> list[str]:
    """Call the command line in `place`; tells the calls that ended with anything but an answer or a named error."""
    monkeypatch.chdir(place)
    monkeypatch.setenv("RUMIAI_OUT", str(place / "crafted"))
    (place / "to").mkdir()

    def unprepared(*_: object) -> None:
        raise ConfigError("goes no further", "test", "a run would start here")

    monkeypatch.setattr("rumiai_ray.cli.batch._prepare", unprepared)
    monkeypatch.setattr(app, "command_line", command_line)
    broken = []
    for call in dict.fromkeys(calls):  # a run compared with itself is compared once
        monkeypatch.setattr(sys, "argv", ["rumiai-ray", *call])
        try:
            app.main()
        except SystemExit as ended:
            said = capsys.readouterr()
            if "Traceback" in said.err or ended.code not in {*map(int, Exit), None}:
                broken.append(f"{' '.join(call)[-60:]}: exit {ended.code}: {said.err[-1500:]}")
        except Exception as error:  # noqa: BLE001 -- what is looked for
            at = traceback.extract_tb(error.__traceback__)[-3:]
            broken.append(f"{call[:2]}: {type(error).__name__}: {str(error)[:150]} at {[f'{a.filename[-40:]}:{a.lineno}' for a in at]}")
    return broken


@pytest.mark.parametrize("seed", SEEDS)
def test_no_absurd_value_ends_a_reading_verb_with_a_traceback(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], seed: int
) -> None:
    crafted = copied(made, tmp_path)
    shutil.copytree(made / "runs", tmp_path / "runs")
    cells = with_absurd_cells(crafted, random.Random(seed), CELLS)
    before = set(tmp_path.rglob("*"))
    touched = sorted({cell.partition(".")[0] for cell in cells})
    calls = verbs(str(tmp_path / "runs" / RUN_ID), str(tmp_path / "crafted" / crafted.run_id), touched)
    assert not (broken := broken_verbs(tmp_path, monkeypatch, capsys, calls)), f"{cells}\n" + "\n".join(broken)
    assert {path for path in tmp_path.rglob("*") if not path.is_relative_to(tmp_path / "to")} == before


def column_of(name: str, value: str | float | None) -> Callable[[pa.Table], pa.Table]:
    return lambda rows: rows.set_column(rows.column_names.index(name), name, pa.array([value] * rows.num_rows))


def without(name: str) -> Callable[[pa.Table], pa.Table]:
    return lambda rows: rows.drop_columns([name])


@pytest.mark.parametrize("in_manifest", [False, True], ids=["manifest-of-today", "manifest-too"])
@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("gestures", column_of("gesture", "Shrug")),
        ("gestures", without("gesture")),
        ("emotions", column_of("dominant_emotion", "boredom")),
        ("objects", column_of("x1", "far left")),
        ("objects", column_of("x1", None)),
        ("objects", column_of("frame_index", 2**62)),
        ("videos", column_of("width_px", "wide")),
        ("videos", without("duration_s")),
        ("analyses", without("status")),
        ("windows", without("name")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_table_that_says_it_is_of_another_version_is_held_to_what_is_read_of_it(
    made: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    table: str,
    change: Callable[[pa.Table], pa.Table],
    *,
    in_manifest: bool,
) -> None:
    crafted = copied(made, tmp_path)
    rewrite_table(crafted, table, lambda rows: change(rows).replace_schema_metadata({b"table": table.encode(), b"version": b"0"}))
    if in_manifest:
        manifest = crafted.manifest.model_copy(update={"tables": dict(crafted.manifest.tables) | {table: 0}})
        crafted.store.replace("manifest.json", manifest.to_json())
    run = str(tmp_path / "crafted" / crafted.run_id)
    assert not (broken := broken_verbs(tmp_path, monkeypatch, capsys, verbs(run, run, [table]))), "\n".join(broken)
