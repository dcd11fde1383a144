"""Run the tests tier by tier, and say at the end what all tiers together have counted. `make test` is this.

    python tests/run_tiers.py [TIER …] [ARGUMENT OF PYTEST …]

A tier that fails does not keep later ones from running. In CI a model that no test ran for real fails the whole suite.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).resolve().parent / "support")]

from tiers import TIERS
from verdict import Verdict

ROOT = Path(__file__).resolve().parents[1]
WORKERS = {"unit": "logical", "ray": "1", "models": "2", "acceptance": "2"}
"""Processes that run tests side by side. A Ray is twenty processes: two test runs of Ray at a time brought two cores to a load of 40, where
limits of time are reached that mean something else."""
SHARED_OUT = ("--dist", "loadfile", "--no-loadscope-reorder")
"""The tests of a file stay in one process, with its fixtures, and files begin in the order that the suite's conftest gives them."""


def main(arguments: list[str]) -> int:
    """Run the tiers named, or all; returns the exit code."""
    from rumiai_ray.models.catalogue import MODELS  # noqa: PLC0415 -- seconds, while the first tier could run

    named = [tier for tier in TIERS if tier in arguments]
    options = [argument for argument in arguments if argument not in TIERS]
    total, failed = Verdict(), list[str]()
    with tempfile.TemporaryDirectory() as folder:
        for tier in named or TIERS:
            counted = Path(folder) / f"{tier}.json"
            begun = time.monotonic()
            command = ["-m", "pytest", "tests", "-m", tier, "-n", WORKERS[tier], *SHARED_OUT, "--verdict", str(counted), *options]
            sys.stdout.write(f"\n=== {tier} ===\n")
            sys.stdout.flush()
            code = subprocess.run([sys.executable, *command], cwd=ROOT, check=False).returncode
            if code not in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
                failed.append(tier)
            if counted.exists():
                total += Verdict.from_file(counted)
            sys.stdout.write(f"=== {tier}: {'failed' if tier in failed else 'passed'} in {time.monotonic() - begun:.0f} s ===\n")
    untested = total.untested(MODELS) if os.environ.get("CI") == "true" and not named and not options else []
    outcomes = ", ".join(f"{count} {name}" for name, count in total.outcomes.items())
    ends = [f"failed: {', '.join(failed)}"] if failed else []
    ends += [f"failed: no test of {name} was left unskipped" for name in untested]
    sys.stdout.write("\n".join(["", f"all tiers: {outcomes}", *total.lines(MODELS), *(ends or ["passed"]), ""]))
    return 1 if ends else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
