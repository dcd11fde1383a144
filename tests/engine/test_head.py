"""Which head a command finds. What it does with one is in test_warm."""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
from dataclasses import asdict
from typing import TYPE_CHECKING

import psutil

from rumiai_ray.engine import head

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_head_is_found_by_commands_of_its_own_python_environment_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        there = head.Head(address, os.getpid(), psutil.Process().create_time(), str(tmp_path))
        with head.alone():
            head._note().write_text(json.dumps(asdict(there)))
        assert head.find_head() == there
        monkeypatch.setattr(sys, "prefix", "/another/environment")
        assert head.find_head() is None
