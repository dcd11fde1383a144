"""The command line called in the test's own process."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest

from rumiai_ray.cli import app

if TYPE_CHECKING:
    from pathlib import Path


class Ended(NamedTuple):
    """How a command has ended."""

    code: int
    out: str
    err: str

    @property
    def cells(self) -> str:
        """What is printed in tables, without lines and blanks: long words go on in the next line of their cell."""
        return "".join(character for character in self.out if character not in "│┃─━┏┓┡┩└┘┳╇┴ \n")


def run_main(arguments: tuple[str | Path, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ended:
    """Call `rumiai-ray ARGUMENTS…`, which must not print a traceback."""
    monkeypatch.setattr(sys, "argv", ["rumiai-ray", *map(str, arguments)])
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        app.main()
    said = capsys.readouterr()
    assert "Traceback" not in said.err, said.err
    return Ended(int(ended.value.code or 0), said.out, said.err)
