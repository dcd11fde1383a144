"""The suite's own rules: which tier a test is in, what is counted, which media are missing."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import chaos
import nodes_driver
import ray_head
import tier_runs
import tiers
from real_media import MEDIA, PACKAGED, Media, media_at
from rumiai_ray.models.catalogue import MODELS
from scripted_run import check_finished
from tier_runs import BESIDE, Ended, run_all
from tiers import EXHAUSTIVE, STARTS_RAY, TIERS, Tier, names_reached
from verdict import MODEL_OF_ITEM, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FunctionType

DIGESTS = {
    "b_objects/ultralytics_bus.jpg": "c02019c4979c191eb739ddd944445ef408dad5679acab6fd520ef9d434bfbc63",
    "d_emotion/pyfeat_sad_to_happy_pexels.mp4": "c048a3025af89148424af1ed2371cddee49af92c911d94da13989706d04baf3f",
    "d_emotion/skimage_astronaut_happy.png": "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
}


def _through_a_context_manager() -> None:
    with chaos.ray_with_faults():
        pass


def _through_a_program() -> None:
    nodes_driver.on_nodes(videos=1, count=1, kills=0, seed=0, timeout_s=1)


def _by_name() -> str:
    return str(Path("support") / "warm_driver.py")


def _directly() -> None:
    with ray_head.ray_head({}):
        pass


def _not_at_all() -> None:
    check_finished(Path())


@pytest.mark.parametrize("code", [_through_a_context_manager, _through_a_program, _by_name, _directly])
def test_a_ray_is_seen_however_indirectly_it_is_started(code: FunctionType) -> None:
    assert names_reached(code) & STARTS_RAY


def test_what_starts_no_ray_and_repeats_nothing_is_not_taken_for_it() -> None:
    assert not names_reached(_not_at_all) & (STARTS_RAY | EXHAUSTIVE)


def test_every_rule_finds_its_tests() -> None:
    """A helper that is renamed would put its tests into `unit` without a word."""
    files = {
        "tests/engine/cell/test_cell.py": "ray",
        "tests/engine/warm/test_warm.py": "ray",
        "tests/engine/ray_session/test_ray_listens.py": "ray",
        "tests/cluster/test_nodes.py": "ray",
        "tests/runs/test_crash_points.py": "long",
        "tests/jobs/test_prefetch.py": "long",
        "tests/jobs/test_ray_job.py": "acceptance",
    }
    command = [sys.executable, "-c", TELL, *files, "--collect-only", "-qq"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1]).stdout
    told = {tuple(line.split()[1:]) for line in said.splitlines() if line.startswith("TIER ")}
    assert told == set(files.items())


def test_later_tiers_look_only_through_files_that_have_tests_of_theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []

    def run(command: list[str], _output: object = None) -> int:
        commands.append(command)
        return 0

    monkeypatch.setattr(tier_runs, "_run", run)
    tier_runs.run_tier("unit", [], tmp_path)
    assert commands[0][commands[0].index("pytest") + 1 :][:2] == ["tests", "-m"], "before anything is known, all are looked through"
    notes = Path(commands[0][commands[0].index("--files-of-tiers") + 1])
    cell, crash, commits = Path("test_cell.py"), Path("test_crash_points.py"), Path("test_commits.py")
    tiers.note_files([("ray", cell), ("long", crash), ("unit", commits), ("ray", cell), ("long", commits)], notes)
    tiers.note_files([("ray", cell)], notes)  # another process, which comes late
    for tier in ("ray", "long", "models"):
        tier_runs.run_tier(tier, [], tmp_path)
    found = [command[command.index("pytest") + 1 : command.index("-m", 3)] for command in commands[1:]]
    assert found == [[str(cell)], [str(crash), str(commits)], ["tests"]]


def test_pytest_keeps_what_it_has_compiled_where_nothing_else_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environments: list[dict[str, str]] = []

    def run(_command: list[str], *, env: dict[str, str], **_: object) -> subprocess.CompletedProcess[str]:
        environments.append(env)
        return subprocess.CompletedProcess([], 0)

    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setattr(subprocess, "run", run)
    tier_runs.run_tier("unit", [], tmp_path)
    (environment,) = environments
    assert environment == {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def test_files_are_noted_by_tier_when_tests_are_collected(tmp_path: Path) -> None:
    ended = _collect(tmp_path / "notes", "tests/runs/test_commits.py")
    assert ended.returncode == 0, ended.stdout
    (file,) = tiers.files_noted("long", tmp_path / "notes")
    assert file.endswith("/tests/runs/test_commits.py")


def test_what_could_not_be_collected_is_no_reason_to_leave_a_file_out(tmp_path: Path) -> None:
    broken = tmp_path / "test_broken.py"
    broken.write_text("import nothing_of_that_name\n")
    ended = _collect(tmp_path / "notes", str(broken), "tests/runs/test_commits.py")
    assert "1 error" in ended.stdout
    assert not (tmp_path / "notes").exists()


def _collect(notes: Path, *files: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", *files, "-c", "pyproject.toml", "--rootdir", ".", "-p", "no:cacheprovider"]
    command += ["--collect-only", "--files-of-tiers", str(notes)]
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=Path(__file__).parents[1])


TELL = """
import sys, pytest
class Teller:
    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items):
        for item in items:
            for tier in ("unit", "ray", "long", "models", "acceptance"):
                if item.get_closest_marker(tier):
                    print("\\nTIER", item.nodeid.partition("::")[0], tier)
sys.exit(pytest.main(sys.argv[1:], plugins=[Teller()]))
"""


@pytest.mark.parametrize("named", [TIERS, ("long",), ("ray", "models"), ("unit", "long", "acceptance")])
def test_every_tier_that_is_named_runs_once_and_those_beside_ray_are_shown_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], named: Sequence[Tier]
) -> None:
    expected = set(BESIDE["ray"]) & set(named) if "ray" in named else set()
    begun_behind = threading.Event()
    ran: list[tuple[Tier, bool]] = []

    def run(tier: Tier, options: Sequence[str], folder: Path, *, behind: bool = False) -> Ended:
        assert options == ["-x"]
        ran.append((tier, behind))
        if behind:
            begun_behind.set()
            (folder / tier).write_text(f"{tier} says so\n")
        elif tier == "ray":
            assert not expected or begun_behind.wait(60), "nothing runs beside Ray"
        return Ended(tier, tier != "models", 1.0, Verdict(), folder / tier if behind else None)

    monkeypatch.setattr(tier_runs, "run_tier", run)
    ended = list(run_all(named, ["-x"], tmp_path))
    assert [one.tier for one in ended] == list(named)
    assert sorted(tier for tier, _ in ran) == sorted(named)
    assert {tier for tier, behind in ran if behind} == expected
    told = capsys.readouterr().out
    for tier in named:
        assert f"=== {tier}: {'failed' if tier == 'models' else 'passed'} in 1 s ===" in told
        assert (f"{tier} says so" in told) == (tier in expected)


def test_what_is_made_once_is_made_by_one_of_several_processes(tmp_path: Path) -> None:
    program = (
        "import sys, time, os, pathlib, once; place = pathlib.Path(sys.argv[1]);"
        "make = lambda: (time.sleep(0.5), (place / f'made-{os.getpid()}').touch(), 42)[-1];"
        "print(once.once(place / 'note', make))"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent / "support")}
    command = [sys.executable, "-c", program, str(tmp_path)]
    racers = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [racer.communicate()[0] for racer in racers] == ["42\n"] * 3
    assert len(list(tmp_path.glob("made-*"))) == 1


def _report(when: str = "call", outcome: str = "passed", reason: str = "", models: tuple[str, ...] = ()) -> pytest.TestReport:
    longrepr: Any = ("test_a.py", 1, f"Skipped: {reason}") if outcome == "skipped" else None
    properties = [(MODEL_OF_ITEM, name) for name in models]
    return pytest.TestReport("test_a.py::test", ("test_a.py", 1, "test"), {}, outcome, longrepr, when, user_properties=properties)  # type: ignore[arg-type]


def test_a_model_counts_as_tested_where_a_test_of_it_has_passed_and_only_there() -> None:
    verdict = Verdict()
    for report in (
        _report(models=("yolo", "ocr")),
        _report("setup", models=("whisper",)),
        _report("setup", "skipped", "no weights", models=("emotion",)),
        _report(outcome="failed", models=("shots",)),
    ):
        verdict.count(report)
    assert verdict.outcomes == {"passed": 1, "skipped": 1, "failed": 1}
    assert set(verdict.untested(MODELS)) == set(MODELS) - {"yolo", "ocr"}


def test_skips_are_grouped_by_reason_with_the_things_that_are_missing(tmp_path: Path) -> None:
    first, second = Verdict(), Verdict()
    for name in ("a/1.mp4", "a/1.mp4", "a/2.mp4", "a/3.mp4", "a/4.mp4"):
        first.count(_report("setup", "skipped", f"no real media [{name}]"))
    second.count(_report("call", "skipped", "no strace: Debian package strace"))
    second.to_file(tmp_path / "second.json")
    first += Verdict.from_file(tmp_path / "second.json")
    assert list(first.lines(["yolo"])) == [
        "tests that ran a model for real: yolo 0",
        "skipped: 6",
        "     5 no real media [a/1.mp4, a/2.mp4, a/3.mp4, 1 more]",
        "     1 no strace: Debian package strace",
    ]


def test_counts_come_from_the_processes_that_run_the_tests(tmp_path: Path) -> None:
    """Under pytest-xdist the tests run elsewhere: what is counted must be what the controlling process is told."""
    counted = tmp_path / "counted.json"
    command = [sys.executable, "-m", "pytest", "tests/engine/results/test_figures.py", "-n", "1", "-q"]
    subprocess.run([*command, "--verdict", str(counted)], capture_output=True, check=True, cwd=Path(__file__).parents[1])
    verdict = Verdict.from_file(counted)
    assert verdict.outcomes["passed"] >= 2
    assert set(verdict.outcomes) == {"passed"}


def test_a_file_of_the_media_folder_that_is_not_here_skips_by_name(tmp_path: Path) -> None:
    with pytest.raises(pytest.skip.Exception, match=r"\[a_speech/nobody\.flac\]"):
        _ = Media(tmp_path) / "a_speech" / "nobody.flac"
    with pytest.raises(pytest.skip.Exception, match=r"\[a_speech\]"):
        list((Media(tmp_path) / "a_speech").iterdir())
    (tmp_path / "here.txt").touch()
    assert (Media(tmp_path) / "here.txt").exists()


@pytest.mark.parametrize("shared", [False, True])
def test_what_packages_ship_is_the_same_as_the_shared_media(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, shared: bool) -> None:
    if shared and not MEDIA.is_dir():
        pytest.skip(f"no real media at {MEDIA}")
    if not shared:
        monkeypatch.setattr("real_media.MEDIA", tmp_path / "nowhere")
    folder = media_at(tmp_path)
    assert all((folder / name).is_file() for name in PACKAGED)
    for name, digest in DIGESTS.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, name
