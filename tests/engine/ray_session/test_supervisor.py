"""The process above the driver: what it says, and the exit code, for each way in which a driver may end."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from product import ROOT
from rumiai_ray.engine.ray_session.supervisor import last_word

if TYPE_CHECKING:
    from pathlib import Path

RUN = {"run": "runs/a", "resumable": True, "connected": True}
RESUME = "stopped; continue with: rumiai-ray runs resume runs/a"


def test_a_driver_that_has_ended_itself_has_the_last_word() -> None:
    assert last_word({**RUN, "ended": True}, 1) == (1, [])
    assert last_word({**RUN, "ended": True}, -9) == (3, [])


def test_a_driver_that_ray_has_ended_in_its_work_is_spoken_for() -> None:
    code, lines = last_word(RUN, 1)
    assert code == 3
    assert lines[0].startswith("RayLostError: Ray: ")
    assert lines[1:] == [RESUME]


@pytest.mark.parametrize("status", [1, -6])
@pytest.mark.parametrize("code", [0, 1, 3])
def test_what_a_driver_has_said_is_not_said_again_where_ray_ends_it_while_it_closes(tmp_path: Path, code: int, status: int) -> None:
    """A run that was stopped named the command that resumes it twice, and one that was complete would have been called lost."""
    folder = tmp_path / "rr-1"
    (folder / "ray" / "session_1" / "logs").mkdir(parents=True)
    (folder / "ray" / "session_1" / "logs" / "raylet.out").write_text("the end")
    (folder / "token").write_text("secret")
    ended, lines = last_word({**RUN, "ray": str(folder), "ended": code}, status)
    assert ended == code
    assert lines == ([f"Ray's logs are kept in {folder / 'logs'}"] if code else [])
    assert not (folder / "token").exists()
    assert folder.exists() == bool(code), "logs of a run that is complete are kept for nobody"


@pytest.mark.parametrize("status", [1, 0])
def test_the_exit_code_is_the_one_that_was_announced(status: int) -> None:
    program = (
        "import os; from rumiai_ray.engine.ray_session import supervisor as s; s.supervise(); s.tell(run='runs/a', resumable=True);"
        f"print('said', flush=True); s.tell(ended=3); os._exit({status})"
    )
    command = [sys.executable, "-c", program]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert (ran.returncode, ran.stdout, ran.stderr) == (3, "said\n", "")
