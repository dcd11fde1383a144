"""`tests/benchmarks/first_run.py`: how it is called, and what a stranger types. `make first-run` runs it."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent


def _script(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


first_run = _script("first_run")
TYPED = ["make demo", "rumiai-ray clip.mp4 --json"]


@pytest.mark.parametrize("at", range(4))
def test_the_option_may_stand_anywhere_among_folder_and_commands(at: int) -> None:
    words = ["build/first-run", *TYPED]
    words.insert(at, "--without-hubs")
    options = first_run.options_of(words)
    assert (options.folder, options.without_hubs, options.commands) == (Path("build/first-run"), True, TYPED)


@pytest.mark.skipif(shutil.which("dpkg-query") is None, reason="no Debian")
def test_what_it_runs_is_a_shell_program() -> None:
    inside = first_run.script(list(first_run.COMMANDS), without_hubs=True)
    for program in (inside, *first_run.COMMANDS):
        subprocess.run(["/bin/bash", "-n"], input=program, text=True, check=True)
