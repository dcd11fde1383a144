"""The one way to standard output and standard error: text from outside cannot speak to the terminal, nor to rich.

`tests/cli/test_terminal.py` sees that no other module of the command line, and no program of `jobs/`, prints by itself.
"""

from __future__ import annotations

import codecs
import json
import sys
from typing import TYPE_CHECKING, Any, TextIO

import typer
from rich.console import Console
from rich.segment import Segment

from rumiai_ray.shown import counted, escaped, shown, terminal_safe

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import ConsoleOptions, RenderableType


__all__ = ["SafeConsole", "counted", "say", "say_json"]


class SafeConsole(Console):
    """A console on which `[bold]` in a text is nothing but text, and control and bidirectional characters are replaced.

    Args:
        file: where to; standard output where it is None.
        stderr: to standard error instead.
        width: in columns; the terminal's where it is None.
        force_terminal: draw as on a terminal.
    """

    def __init__(
        self, *, file: TextIO | None = None, stderr: bool = False, width: int | None = None, force_terminal: bool | None = None
    ) -> None:
        super().__init__(file=file, stderr=stderr, width=width, force_terminal=force_terminal, markup=False, emoji=False)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """As rich does, with the text of every segment made safe; what rich itself says to the terminal is in segments of its own kind."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(terminal_safe(segment.text), segment.style)


def say(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Print lines of text, on standard error where `err` says so."""
    typer.echo(terminal_safe(shown(text)), err=err, nl=nl)


def say_json(document: Any, out: TextIO | None = None, *, indent: int = 2) -> None:
    """Print JSON values on `out`, else on standard output: characters that a terminal would obey are escaped, nothing is lost."""
    target = out or sys.stdout
    is_utf8 = codecs.lookup(target.encoding or "utf-8").name == "utf-8"  # any other encoding lacks characters, and JSON can escape them
    print(escaped(json.dumps(document, indent=indent, ensure_ascii=not is_utf8)), file=target)
