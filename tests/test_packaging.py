"""What a newcomer's first two commands, and CI, rest on: the pins, the licence, `make` and `.ci/run`."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from rumiai_ray.cli.doctor.checks import debian_packages

ROOT = Path(__file__).resolve().parents[1]
AGPL_3 = "0d96a4ff68ad6d4b6f1f30f713b18d5184912ba8dd389f86aa7710db079abcb0"
"""SHA-256 of the text of the GNU Affero General Public License, version 3, as the Free Software Foundation publishes it."""

needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def constraints() -> dict[str, str]:
    lines = (ROOT / "cluster/constraints.txt").read_text().splitlines()
    return {canonicalize_name(name): version for name, version in (line.split("==") for line in lines if not line.startswith("#"))}


def requirements() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    return [Requirement(line) for line in [*project["dependencies"], *extras]]


def test_constraints_are_names_and_versions_and_nothing_else() -> None:
    for line in (ROOT / "cluster/constraints.txt").read_text().splitlines():
        assert line.startswith("# ") or re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line), line


@pytest.mark.parametrize("path", ["cluster/constraints.txt", "Makefile", ".ci/run", "pyproject.toml"])
def test_no_registry_is_named_where_packages_are(path: str) -> None:
    text = (ROOT / path).read_text()
    assert "://" not in text
    assert not re.search(r"index-url|find-links|\bpypi\b", text)


def test_everything_the_project_asks_for_is_pinned_at_a_version_it_takes() -> None:
    pinned = constraints()
    for requirement in requirements():
        version = pinned[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f"{requirement} is pinned to {version}"


def test_the_three_opencv_wheels_are_one_version() -> None:
    pinned = constraints()
    assert len({pinned[name] for name in ("opencv-python", "opencv-contrib-python", "opencv-python-headless")}) == 1


def test_the_licence_is_the_agpl_to_the_letter() -> None:
    assert hashlib.sha256((ROOT / "LICENSE").read_bytes()).hexdigest() == AGPL_3
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["license"].startswith("AGPL-3.0")


@needs_make
def test_make_alone_lists_the_targets() -> None:
    said = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout  # noqa: S607 -- make is found on the path
    for target in ("venv", "weights", "demo", "check", "test", "lint", "clean"):
        assert re.search(rf"^make {target} +\w", said, re.MULTILINE), target


@needs_make
def test_make_test_runs_every_tier_in_the_form_the_rule_for_untested_models_looks_for() -> None:
    fetch, both_readers, run = _commands_of("test")[-3:]
    assert fetch.endswith("weights fetch --profile offline")
    assert both_readers.endswith("weights fetch --profile offline --models ocr --ocr-engine easyocr")
    assert run.split() == [".venv/bin/python", "tests/run_tiers.py"]


@needs_make
def test_the_demo_fetches_no_weights_that_it_does_not_load() -> None:
    fetches = [command for command in _commands_of("demo") if "weights fetch" in command]
    assert [fetch.split()[1:] for fetch in fetches] == [["weights", "fetch", "--profile", "offline"]]


@needs_make
@pytest.mark.parametrize("target", ["bench", "bench-plain", "bench-gate"])
def test_a_benchmark_fetches_the_weights_of_both_text_readers(target: str) -> None:
    fetches = [command for command in _commands_of(target) if "weights fetch" in command]
    assert [fetch.endswith("--ocr-engine easyocr") for fetch in fetches[:2]] == [False, True]


@needs_make
def test_make_check_is_lint_and_the_unit_tests_and_fetches_no_weights() -> None:
    commands = _commands_of("check")
    assert [command.split()[0].removeprefix(".venv/bin/") for command in commands[-4:]] == ["ruff", "ruff", "mypy", "python"]
    assert commands[-1].split() == [".venv/bin/python", "tests/run_tiers.py", "unit"]
    assert not [command for command in commands if "fetch" in command]


@needs_make
@pytest.mark.parametrize(
    ("free_gb", "arguments", "needed"),
    [
        (7.5, [], "8 GB"),
        (3.5, ["TORCH=cpu"], "4 GB"),
        (7.5, ["ROOM_GB=20"], "20 GB"),
        (8.5, [], None),
        (4.5, ["TORCH=cpu"], None),
        (0.1, ["ROOM_GB=0"], None),
    ],
)
def test_make_looks_for_room_before_it_installs(tmp_path: Path, free_gb: float, arguments: list[str], needed: str | None) -> None:
    log = tmp_path / "log"
    tree = _tree_with_programs(tmp_path, free_gb, log)
    environment = {"PATH": f"{tmp_path}/bin:/usr/bin:/bin"}
    ended = subprocess.run(
        ["make", "venv", f"PYTHON={tmp_path}/bin/python", *arguments],  # noqa: S607
        cwd=tree, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 2, "the Python of this test makes no environment"
    assert log.exists() is (needed is None), ended.stderr
    if needed is not None:
        assert f"{needed} of disk are needed" in ended.stderr
        assert f"{free_gb} GB" in ended.stderr
        assert "ROOM_GB=" in ended.stderr


@needs_make
def test_what_an_interrupted_installation_has_written_counts_as_room(tmp_path: Path) -> None:
    log = tmp_path / "log"
    tree = _tree_with_programs(tmp_path, 0.0, log)
    (tree / ".venv").mkdir()
    (tree / ".venv/written").write_bytes(b"x" * 3_000_000)
    command = ["make", "venv", f"PYTHON={tmp_path}/bin/python", "ROOM_GB=0.002"]
    environment = {"PATH": f"{tmp_path}/bin:/usr/bin:/bin"}
    subprocess.run(command, cwd=tree, env=environment, capture_output=True, check=False)
    assert log.exists()


def _tree_with_programs(place: Path, free_gb: float, log: Path) -> Path:
    """A tree in which nothing is installed, and a `df` and a `python` of its own."""
    tree = place / "tree"
    (tree / "cluster").mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", "cluster/constraints.txt", "cluster/overrides.txt"):
        shutil.copy(ROOT / name, tree / name)
    programs = {
        "df": f"printf 'Filesystem 1024-blocks Used Available Capacity Mounted on\\n/dev/x 1 1 {round(free_gb * 1e9 / 1024)} 1%% /\\n'",
        "python": f'echo "$@" >> {log}; exit 1',
    }
    (place / "bin").mkdir()
    for name, script in programs.items():
        (place / "bin" / name).write_text(f"#!/bin/bash\n{script}\n")
        (place / "bin" / name).chmod(0o755)
    return tree


def _commands_of(target: str) -> list[str]:
    """What `make` would run, were nothing made yet."""
    command = ["make", "--no-print-directory", "--dry-run", "--always-make", target]
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_ARGS"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.mark.parametrize("absent", [(), ("libegl1", "ffmpeg")])
def test_ci_installs_exactly_the_missing_debian_packages_and_then_tests(tmp_path: Path, absent: tuple[str, ...]) -> None:
    log = tmp_path / "log"
    installed = {*debian_packages(), "strace", "chromium"} - set(absent)
    programs = {
        "dpkg-query": f'case " {" ".join(sorted(installed))} " in *" ${{@: -1}} "*) echo installed;; *) exit 1;; esac',
        "apt-get": f'echo apt-get "$@" >> {log}',
        "sudo": 'exec "$@"',
        "make": f'if [[ "$*" == "--silent python" ]]; then echo {sys.executable}; else echo make "$@" CI=$CI >> {log}; fi',
    }
    for name, script in programs.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{script}\n")
        (tmp_path / name).chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    subprocess.run([ROOT / ".ci/run"], env=environment, cwd=tmp_path, check=True)
    apt = ["apt-get update", "apt-get install -y --no-install-recommends libegl1 ffmpeg"] if absent else []
    assert log.read_text().splitlines() == [*apt, "make lint test CI=true"]
