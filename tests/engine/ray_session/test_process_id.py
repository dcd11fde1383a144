"""A process is told from another one that has its number."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from rumiai_ray.engine.ray_session.process_id import ProcessId


def test_a_process_lives_until_it_has_ended_although_nobody_has_waited_for_it() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    known = ProcessId.of(child.pid)
    assert known.lives
    assert child.stdin is not None
    child.stdin.close()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not known.lives, "a zombie does not live"
    child.wait()
    assert not known.lives
    with pytest.raises(ProcessLookupError):
        ProcessId.of(child.pid)


@pytest.mark.parametrize("name", [b"a) R 1 (b", b")", b"x y\n(z", bytes([0xFF, 0xFE])])
def test_a_process_whose_name_looks_like_fields_is_known_too(name: bytes) -> None:
    program = "import ctypes, sys; ctypes.CDLL(None).prctl(15, bytes.fromhex(sys.argv[1])); print(flush=True); input()"
    child = subprocess.Popen([sys.executable, "-c", program, name.hex()], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout is not None
    before = ProcessId.of(child.pid)
    child.stdout.readline()
    assert ProcessId.of(child.pid) == before
    child.communicate(b"\n")
