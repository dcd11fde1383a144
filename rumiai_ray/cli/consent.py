"""Licences that forbid commercial use: the question on a terminal, and the answer "no", which is remembered."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

import typer

from rumiai_ray.cli.terminal import say
from rumiai_ray.logs import swallowed
from rumiai_ray.models.weights.places import user_pins

if TYPE_CHECKING:
    from pathlib import Path

    from rumiai_ray.models.weights.files import Candidate

_LOG = logging.getLogger(__name__)


def may_ask() -> bool:
    """Whether a person is at the other end, and has not said no before."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty() and not _declined().exists()


def ask(candidate: Candidate) -> bool:
    """Show the licence and ask. A "no" is remembered; `--accept-noncommercial` is how one changes one's mind."""
    say(f"The weights of {candidate.backend} may not be used commercially:", err=True)
    for file in candidate.files:
        say(f"  {file.path}: {file.licence}", err=True)
    accepted = typer.confirm("Accept these licences and fetch the files? Otherwise the stand-in runs", default=False, err=True)
    if not accepted:
        with swallowed(_LOG, "noting that the licence was declined", OSError):  # then the question comes again, which is no harm
            _declined().parent.mkdir(parents=True, exist_ok=True)
            _declined().write_text(f"{candidate.backend}\n", encoding="utf-8")
        say("not asked again; `--accept-noncommercial` accepts them later", err=True)
    return accepted


def _declined() -> Path:
    return user_pins().with_name("declined-licences.txt")
