"""`tests/benchmarks/first_run.py`: how it is called, and what a stranger types. `make first-run` runs it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from program_module import program_module

first_run = program_module(Path(__file__).with_name("first_run.py"))
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
