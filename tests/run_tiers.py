"""Run the tests tier by tier, and say at the end what all tiers together have counted. `make test` is this.

    python tests/run_tiers.py [TIER …] [ARGUMENT OF PYTEST …]

A tier that fails does not keep later ones from running. In CI a model that no test ran for real fails the whole suite.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent / "support")]

from tier_runs import run_all, say
from tiers import TIERS
from verdict import Verdict


def main(arguments: list[str]) -> int:
    """Run the tiers named, or all; returns the exit code."""
    from rumiai_ray.models.catalogue import MODELS, default_models  # noqa: PLC0415 -- seconds, while the first tier could run

    named = [tier for tier in TIERS if tier in arguments]
    options = [argument for argument in arguments if argument not in TIERS]
    total, failed = Verdict(), list[str]()
    with tempfile.TemporaryDirectory() as folder:
        for ended in run_all(named or TIERS, options, Path(folder)):
            total += ended.verdict
            failed += [] if ended.passed else [ended.tier]
    untested = total.untested(default_models()) if os.environ.get("CI") == "true" and not named and not options else []
    outcomes = ", ".join(f"{count} {name}" for name, count in total.outcomes.items())
    ends = [f"failed: {', '.join(failed)}"] if failed else []
    ends += [f"failed: no test of {name} was left unskipped" for name in untested]
    say("\n".join(["", f"all tiers: {outcomes}", *total.lines(MODELS), *(ends or ["passed"])]))
    return 1 if ends else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
