"""Command lines of this program that a page shows: those of its blocks, and those in its sentences."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_CODE = re.compile(r"(?ms)^```\w*\n(?P<block>.*?)^```|(?<!`)`(?P<span>[^`]+)`(?!`)")
_PROGRAM = ("rumiai-ray ", "python -m rumiai_ray ")
_GROUPS = ("runs ", "weights ", "frames ", "corpus ", "manifest ")
"""Verbs of verbs. In a sentence the program's name may be left out before them: `runs show RUN`."""


@dataclass(frozen=True)
class Shown:
    """One command line, as a reader would type it; placeholders such as RUN are as they stand there."""

    line: str
    in_sentence: bool


def shown_commands(page: Path) -> list[Shown]:
    """The command lines in the order of the page; lines of a block that go on are joined."""
    found: list[Shown] = []
    for code in _CODE.finditer(page.read_text(encoding="utf-8")):
        if code["span"] is None:
            found += [Shown(line, in_sentence=False) for line in _of_block(code["block"])]
            continue
        line = " ".join(code["span"].split())
        if line.startswith(_GROUPS):
            line = f"rumiai-ray {line}"
        if line.startswith(_PROGRAM):
            found.append(Shown(line, in_sentence=True))
    return found


def _of_block(block: str) -> list[str]:
    found = []
    lines = iter(block.splitlines())
    for first in lines:
        line = first.removeprefix("$ ")
        if line.startswith(_PROGRAM):
            while line.count('"') % 2 or line.endswith("\\"):
                line = line.removesuffix("\\") + " " + next(lines).strip()
            found.append(line)
    return found
