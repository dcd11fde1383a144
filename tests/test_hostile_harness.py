"""`make hostile` can fail: what it promises not to find is planted, and each of its zeros is none any more."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

import hostile_targets

RUN = Path(__file__).parent / "hostile" / "run.py"


@pytest.fixture
def harness() -> Any:
    """`tests/hostile/run.py`, which is a program, as a module."""
    spec = importlib.util.spec_from_file_location("hostile_run", RUN)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [*sys.path])  # the program puts folders in front
        spec.loader.exec_module(module)
    return module


def test_a_planted_death_and_a_planted_hang_are_counted_and_the_cases_after_them_are_run(
    harness: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(harness, "HANG_S", 5.0)  # on top of START_S while a worker starts
    tally = harness.Tally()
    harness.run_cases(["canary:nothing:0", "canary:hang:0", "canary:die:0", "canary:nothing:1"], 1, tally, workers=1)
    assert tally.zeros == dict.fromkeys(harness.ZEROS, 0) | {"deaths outside the cage": 1, "hangs": 1}
    assert tally.sections["canary"] == {"tried": 4, "analysed": 2, "broken": 2}
    assert {"deaths outside the cage: 1", "hangs: 1"} <= set(tally.lines())
    said = capsys.readouterr().out
    assert "BROKEN canary:hang:0: hangs\n" in said
    assert "BROKEN canary:die:0: deaths outside the cage\n" in said


def test_a_write_outside_a_request_inside_and_an_error_without_a_name_are_counted(harness: Any) -> None:
    tally = harness.Tally()
    harness.run_cases(["canary:write:0", "canary:connect:0", "canary:fault:0"], 1, tally, workers=1)
    counted = {name for name, count in tally.zeros.items() if count}
    assert counted == {"bytes written outside", "requests to inside addresses", "errors without a name"}


@pytest.mark.parametrize(("case", "code"), [("canary:nothing:0", 0), ("canary:die:0", 1)])
def test_the_program_fails_where_a_zero_is_none(harness: Any, case: str, code: int) -> None:
    assert harness.main(["--seed", "1", "--case", case]) == code


@pytest.mark.parametrize(
    ("end", "zero"),
    [
        ("pass", None),
        ("os.abort()", "deaths outside the cage"),
        ("(folder / 'timeout-1').touch(); sys.exit(70)", "hangs"),
        ("(folder / 'oom-1').touch(); sys.exit(71)", "deaths outside the cage"),
        ("print('Uncaught Python exception'); (folder / 'crash-1').touch(); sys.exit(77)", "errors without a name"),
    ],
)
def test_however_fuzzing_ends_badly_is_counted(
    harness: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, end: str, zero: str | None
) -> None:
    """The fuzzing is played by a program that ends in each of the ways in which libFuzzer does."""
    program = tmp_path / "tests" / "hostile" / "fuzz.py"
    program.parent.mkdir(parents=True)
    program.write_text(
        "import json, os, pathlib, sys\nfolder = pathlib.Path(sys.argv[2])\n"
        f"(folder / 'counts.json').write_text(json.dumps({{'one': {{'refused': 2, 'analysed': 1}}}}))\n{end}\n"
    )
    monkeypatch.setattr(harness, "ROOT", tmp_path)
    monkeypatch.setattr(harness, "KEPT", tmp_path / "kept")
    tally = harness.Tally()
    harness._fuzz(next(iter(hostile_targets.TARGETS)), 1.0, 1, tally)
    assert {name for name, count in tally.zeros.items() if count} == ({zero} if zero else set())
    assert tally.sections["fuzz"] == {"tried": 3, "refused": 2, "analysed": 1}
