"""The product as a user meets it: the command line in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rumiai_ray.runs.reader import Run, open_run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SUPPORT = Path(__file__).resolve().parent
ROOT = SUPPORT.parents[1]


@dataclass(frozen=True)
class Ran:
    """What one call of the command line left."""

    code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document on stdout."""
        parsed = json.loads(self.stdout)
        assert isinstance(parsed, dict)
        return parsed

    @property
    def run(self) -> Run:
        """The run that was written."""
        return open_run(self.document["run_dir"])

    def video(self, ending: str) -> dict[str, Any]:
        """The document's item for the one input whose path ends so."""
        (found,) = [video for video in self.document["videos"] if video["input"].endswith(ending)]
        assert isinstance(found, dict)
        return found

    def rows(self, table: str, ending: str) -> list[dict[str, Any]]:
        """The rows of one table for the one input whose path ends so."""
        key = self.video(ending)["video_key"]
        rows = self.run.table(table).to_pylist()
        return [row for row in rows if row["video_key"] == key]


def rumiai_ray(
    *arguments: str | Path, cwd: Path, package: Path = ROOT, variables: Mapping[str, str] | None = None, timeout_s: float = 1800
) -> Ran:
    """Run `python -m rumiai_ray` with these arguments; `package` is the checkout whose code runs."""
    environment = {**os.environ, "PYTHONPATH": str(package), **(variables or {})}
    process = subprocess.run(
        [sys.executable, "-m", "rumiai_ray", *map(str, arguments)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
        stdin=subprocess.DEVNULL,
    )
    return Ran(process.returncode, process.stdout, process.stderr)


def analyse(workplace: Path, inputs: Sequence[Path | str], *options: str, **variables: str) -> Ran:
    """Analyse `inputs` with the offline profile; store and runs lie in `workplace`."""
    places = ("--profile", "offline", "--store", str(workplace / "store"), "--out", str(workplace / "runs"))
    return rumiai_ray("analyze", *places, "--json", *options, "--", *inputs, cwd=workplace, variables=variables)
