"""Every verb that reads a run, on runs whose cells hold absurd values of the right type: a page, a table or one named error line."""

from __future__ import annotations

import os
import random
import sys
import traceback
from typing import TYPE_CHECKING

import pytest

from absurd import full_run, with_absurd_cells
from rumiai_ray.cli import app
from rumiai_ray.cli.exits import Exit
from rumiai_ray.errors import ConfigError
from synthetic_clips import grid_times_s, make_clip

if TYPE_CHECKING:
    from pathlib import Path

SEEDS = [int(seed) for seed in os.environ.get("ABSURD_SEEDS", "").split()] or list(range(6))
CELLS = int(os.environ.get("ABSURD_CELLS", "8"))


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


@pytest.mark.parametrize("seed", SEEDS)
def test_no_absurd_value_ends_a_reading_verb_with_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], seed: int
) -> None:
    sound, crafted = full_run(tmp_path / "runs"), full_run(tmp_path / "crafted")
    cells = with_absurd_cells(crafted, random.Random(seed), CELLS)
    make_clip(tmp_path / "clip.mp4", grid_times_s(10, 0.4), sound_from_to_s=[])
    (tmp_path / "to").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUMIAI_OUT", str(tmp_path / "crafted"))

    def unprepared(*_: object) -> None:
        raise ConfigError("goes no further", "test", "a run would start here")

    monkeypatch.setattr("rumiai_ray.cli.batch._prepare", unprepared)
    before = {path for path in tmp_path.rglob("*") if not path.is_relative_to(tmp_path / "to")}
    broken = []
    for verb in verbs(
        str(tmp_path / "runs" / sound.run_id),
        str(tmp_path / "crafted" / crafted.run_id),
        sorted({cell.partition(".")[0] for cell in cells}),
    ):
        monkeypatch.setattr(sys, "argv", ["rumiai-ray", *verb])
        try:
            app.main()
        except SystemExit as ended:
            said = capsys.readouterr()
            if "Traceback" in said.err or ended.code not in {*map(int, Exit), None}:
                broken.append(f"{' '.join(verb)[-60:]}: exit {ended.code}: {said.err[-1500:]}")
        except Exception as error:  # noqa: BLE001 -- what is looked for
            at = traceback.extract_tb(error.__traceback__)[-3:]
            broken.append(f"{verb[:2]}: {type(error).__name__}: {str(error)[:150]} at {[f'{a.filename[-40:]}:{a.lineno}' for a in at]}")
    assert not broken, f"{cells}\n" + "\n".join(broken)
    assert {path for path in tmp_path.rglob("*") if not path.is_relative_to(tmp_path / "to")} == before
