"""Runs tiers of the suite, some of them beside others, and shows what each says."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import pytest

from tiers import files_noted
from verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tiers import Tier

ROOT = Path(__file__).resolve().parents[2]
WORKERS: dict[Tier, str] = {"unit": "logical", "ray": "1", "long": "1", "models": "1", "acceptance": "2"}
"""Processes that run tests side by side. A Ray is twenty processes: two test runs of Ray at a time brought two cores to a load of 40, where
limits of time are reached that mean something else."""
BESIDE: dict[Tier, tuple[Tier, ...]] = {"ray": ("long", "models")}
"""Tiers that start no Ray run beside one that does, one after the other and with a low priority: they take what Ray's tests leave of the
cores while they wait, and nothing that these need within their limits of time."""
SHARED_OUT = ("--dist", "loadfile", "--no-loadscope-reorder")
"""The tests of a file stay in one process, with its fixtures, and files begin in the order that the suite's conftest gives them."""


@dataclass(frozen=True)
class Ended:
    """What has become of a tier."""

    tier: Tier
    passed: bool
    seconds: float
    verdict: Verdict
    output: Path | None
    """Where the output of a tier is that ran beside another; it is still to be shown."""


def run_tier(tier: Tier, options: Sequence[str], folder: Path, *, behind: bool = False) -> Ended:
    """Run one tier with these arguments for pytest; where it runs behind another, with a low priority and its output in a file."""
    counted, output, files = folder / f"{tier}.json", folder / f"{tier}.txt", folder / "files_of_tiers.json"
    begun = time.monotonic()
    # Importing all files of tests takes 15 s of CPU time in each process of each tier: later tiers leave out those without tests of theirs.
    where = files_noted(tier, files) or ["tests"]
    command = [sys.executable, "-m", "pytest", *where, "-m", tier, "-n", WORKERS[tier], *SHARED_OUT]
    command += ["--verdict", str(counted), "--files-of-tiers", str(files), *options]
    if behind:
        with output.open("wb") as stream:
            code = _run_behind(command, stream)
    else:
        code = _run(command)
    verdict = Verdict.from_file(counted) if counted.exists() else Verdict()
    passed = code in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}
    return Ended(tier, passed, time.monotonic() - begun, verdict, output if behind else None)


def _environment() -> dict[str, str]:
    """This process's, but that pytest may keep what it has compiled.

    It rewrites the assertions of every module of its plugins, all of hypothesis among them. Where it may keep nothing of that, each process
    of each tier did it anew, and so did each pytest that a test starts.
    """
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _run(command: Sequence[str]) -> int:
    return subprocess.run(command, cwd=ROOT, env=_environment(), check=False).returncode


_behind: list[subprocess.Popen[bytes]] = []


def _run_behind(command: Sequence[str], output: BinaryIO) -> int:
    """Run a command with the lowest priority there is: Ray gives its own workers a nice value of 15.

    Linux weighs sessions against each other before it looks at the nice values within one, and each Ray of a test has a session of its
    own. So this command gets one too, whose weight is lowered: without that it took 60 % of a core from Rays that had 30 (seen).
    """
    process = subprocess.Popen(command, cwd=ROOT, env=_environment(), stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
    _behind.append(process)
    os.setpriority(os.PRIO_PROCESS, process.pid, 19)
    weight = Path(f"/proc/{process.pid}/autogroup")
    if weight.exists():
        weight.write_text("19", encoding="ascii")
    return process.wait()


def run_all(tiers: Sequence[Tier], options: Sequence[str], folder: Path) -> Iterator[Ended]:
    """Run these tiers and show what each says: those that run beside another after it."""
    beside = {tier for front in tiers for tier in BESIDE.get(front, ()) if tier in tiers}
    with ThreadPoolExecutor(1) as behind:
        try:
            for tier in tiers:
                if tier in beside:
                    continue
                others = [behind.submit(run_tier, one, options, folder, behind=True) for one in BESIDE.get(tier, ()) if one in beside]
                say(f"\n=== {tier} ===")
                yield show(run_tier(tier, options, folder))
                for other in others:
                    yield show(other.result())
        finally:  # Ctrl-C does not reach another session
            behind.shutdown(wait=False, cancel_futures=True)
            for process in _behind:
                process.terminate()


def show(ended: Ended) -> Ended:
    """Show what is not shown yet of a tier that has ended."""
    if ended.output:
        say(f"\n=== {ended.tier} ===")
        say(ended.output.read_text(encoding="utf-8", errors="replace"))
    say(f"=== {ended.tier}: {'passed' if ended.passed else 'failed'} in {ended.seconds:.0f} s ===")
    return ended


def say(text: str) -> None:
    """Print a line in the order of what pytest prints."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
