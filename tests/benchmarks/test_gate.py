"""`tests/benchmarks/gate.py`: what fails it, by which name, and which baselines it refuses. `make bench-gate` runs it on real clips."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fakes
from program_module import program_module
from rumiai_ray.frames.types import AUDIO_RATE_HZ
from rumiai_ray.models.base import AudioChunk

HERE = Path(__file__).parent


gate = program_module(HERE / "gate.py")
ROWS = {"ocr": 120, "yolo": 300}


def a_round(ocr: float = 2.0, yolo: float = 1.0, rows: dict[str, int] | None = None) -> Any:
    parts = {"decode": 0.1, "ocr": ocr, "yolo": yolo}
    return gate.Round(parts | {"whole": sum(parts.values())}, rows or ROWS, 1.0)


TEN = [a_round(ocr=2.0 + wobble, yolo=1.0 - wobble / 2) for wobble in (0.0, 0.02, -0.02, 0.04, -0.04, 0.01, -0.01, 0.03, -0.03, 0.0)]


@pytest.fixture
def baseline() -> Any:
    return gate.baseline_of(TEN, 12)


def test_what_costs_as_much_as_before_passes(baseline: Any) -> None:
    assert gate.verdict(TEN[:3], baseline) == []
    assert gate.verdict([a_round(ocr=1.0)] * 3, baseline) == [], "what became cheaper is no regression"


@pytest.mark.parametrize(("slower", "named"), [({"yolo": 1.3}, "yolo"), ({"ocr": 2.6}, "ocr"), ({"yolo": 1.2}, "yolo")])
def test_what_grew_by_a_fifth_or_more_is_named_and_nothing_that_did_not(baseline: Any, slower: dict[str, float], named: str) -> None:
    wrong = gate.verdict([a_round(slower.get("ocr", 2.0), slower.get("yolo", 1.0))] * 3, baseline)
    assert wrong[0].startswith(f"{named} grew by ")
    assert {line.split()[0] for line in wrong} <= {named, "whole"}


def test_one_slow_round_of_three_is_noise(baseline: Any) -> None:
    assert gate.verdict([a_round(), a_round(yolo=1.5), a_round()], baseline) == []


def test_other_row_counts_fail_however_cheap_they_were(baseline: Any) -> None:
    assert gate.verdict([a_round(yolo=0.5, rows=ROWS | {"yolo": 299})] * 3, baseline) == ["yolo gave 299 rows, not 300"]


def test_a_part_that_the_baseline_does_not_know_fails(baseline: Any) -> None:
    (wrong,) = gate.verdict(TEN[:3], replace(baseline, ratios={"decode": 0.1, "ocr": 2.0, "whole": 3.1}))
    assert "write a new one" in wrong


def test_the_tolerance_is_three_deviations_of_the_ten_rounds_and_never_less_than_a_twentieth(baseline: Any) -> None:
    assert baseline.tolerances["decode"] == gate.LEAST_TOLERANCE
    spread = [one.ratios["ocr"] / 2.0 for one in TEN]
    assert baseline.tolerances["ocr"] == round(max(0.05, 3 * float(np.std(spread, ddof=1))), 3)


def test_a_machine_on_which_a_fifth_would_pass_as_noise_makes_no_baseline() -> None:
    with pytest.raises(ValueError, match=r"too noisy for a baseline: yolo \(\d+%\)"):
        gate.baseline_of([a_round(yolo=1.0 + wobble) for wobble in (0.0, 0.2, -0.2, 0.1, -0.1)], 12)


def test_rounds_that_found_different_things_make_no_baseline() -> None:
    with pytest.raises(ValueError, match="different rows"):
        gate.baseline_of([a_round(), a_round(rows=ROWS | {"ocr": 119})], 12)


def test_without_a_baseline_nothing_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["gate.py", str(tmp_path / "clips.txt"), str(tmp_path / "none.json")])
    with pytest.raises(SystemExit) as ended:
        gate.main()
    assert ended.value.code == 2
    assert "write one with --write" in capsys.readouterr().err


class Command:
    """`gate.py` with rounds that cost what they are told to cost, times what is planted: nothing is timed."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.baseline, self._clips, self._patch = folder / "baseline.json", folder / "clips.txt", monkeypatch
        self._clips.write_text("".join(f"{number}.mp4\n" for number in range(54)), encoding="utf-8")
        self.measured: list[list[str]] = []
        monkeypatch.setattr(gate, "measured", self._rounds)

    def _rounds(self, manifest: Path, plant: dict[str, float], models: list[str]) -> Any:
        assert models == []
        self.measured.append(manifest.read_text(encoding="utf-8").splitlines())
        for one in TEN:
            slower = {part: ratio * plant.get(part, 1) for part, ratio in one.ratios.items() if part != "whole"}
            yield gate.Round(slower | {"whole": sum(slower.values())}, one.rows, 1.0)

    def __call__(self, *arguments: str) -> int:
        self._patch.setattr(sys, "argv", ["gate.py", str(self._clips), str(self.baseline), *arguments])
        return int(gate.main())


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    return Command(tmp_path, monkeypatch)


def test_the_gate_passes_on_what_its_baseline_was_made_of_and_fails_on_a_planted_slowdown_with_the_models_name(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("--write") == 0
    assert len(command.measured[0]) == 12
    assert capsys.readouterr().err.count("round ") == gate.BASELINE_ROUNDS
    assert command() == 0
    assert "grew" not in capsys.readouterr().err
    assert command("--plant", "yolo=1.3") == 1
    told = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("round ")]
    assert told[0] == "yolo grew by 30%; 5% is noise"
    assert not any(line.startswith(("ocr", "decode")) for line in told)
    assert command.measured[0] == command.measured[1] == command.measured[2], "every time the same clips"


def test_a_slowdown_on_another_machine_says_that_the_machine_may_be_the_cause(
    command: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command("--write")
    monkeypatch.setattr(gate, "processor", lambda: "another processor")
    assert command() == 0
    assert "another processor" not in capsys.readouterr().err
    assert command("--plant", "ocr=1.3") == 1
    assert "this is another processor" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "refused"),
    [
        (["--write", "--plant", "yolo=1.3"], "neither --plant"),
        (["--write", "--models", "yolo"], "nor --models"),
        (["--clips", "6"], "of 12 clips"),
    ],
)
def test_what_would_make_no_sense_beside_a_baseline_is_refused_before_anything_is_measured(
    command: Command, capsys: pytest.CaptureFixture[str], arguments: list[str], refused: str
) -> None:
    command("--write")
    with pytest.raises(SystemExit) as ended:
        command(*arguments)
    assert ended.value.code == 2
    assert refused in capsys.readouterr().err
    assert len(command.measured) == 1


def test_only_the_planted_model_is_run_by_the_slowed_family(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATE_PLANTED_FACTOR", "1")
    plans = [fakes.plan("ears", "Listener"), fakes.plan("eyes", "Fake")]
    assert [gate._planted(plan, {"ears": 1.3}).implementation for plan in plans] == ["slowed:ears", plans[1].implementation]
    assert os.environ["GATE_PLANTED_FACTOR"] == "1.3"


def test_a_planted_slowdown_costs_as_much_more_as_it_says_and_changes_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    slowed = program_module(HERE / "slowed.py")
    monkeypatch.setattr(slowed, "model_class", lambda _: fakes.Listener)
    monkeypatch.setenv("GATE_PLANTED_FACTOR", "1.3")
    plan = fakes.plan("ears", "Listener", behave="burn")
    chunk = AudioChunk(np.full(AUDIO_RATE_HZ, 7, np.int16), 0.0)
    began_s = time.process_time()
    answer = slowed.ears(plan).predict(chunk)
    assert time.process_time() - began_s >= 1.3 * fakes.BURNT_S
    assert answer.tables["heard"]["number"].to_pylist() == [7]


def test_a_family_that_is_not_there_cannot_be_slowed() -> None:
    with pytest.raises(AttributeError):
        _ = program_module(HERE / "slowed.py").nobody
