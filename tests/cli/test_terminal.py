"""Text from outside is nothing but text on a terminal, whatever prints it."""

from __future__ import annotations

import ast
import io
import json
import logging
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.progress import Progress, TextColumn
from rich.table import Table
from rich.text import Text

import rumiai_ray
from rumiai_ray.cli.terminal import SafeConsole, say, say_json
from rumiai_ray.logs import configure
from rumiai_ray.shown import terminal_safe

CLI = Path(rumiai_ray.__file__).parent / "cli"
JOBS = CLI.parents[1] / "jobs"
PROGRAMS = [*sorted(CLI.rglob("*.py")), *sorted(JOBS.glob("*.py"))]
EXEMPT = {"terminal.py": "it is the one way", "doctor/libraries.py": "a process of its own, which prints names of modules to its parent"}
STRANGE = [
    "\x1b]0;owned\x1b\\ ",
    "\x9b31m",
    "\u202egpj.exe",
    "[/nope]",
    "[bold]x[/bold]",
    "[link=https://h.example]x[/link]",
    ":smile:",
    "\x7f",
]


@pytest.mark.parametrize("text", STRANGE)
def test_a_strange_title_is_printed_and_obeyed_by_nobody(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    say(text, err=True)
    said = capsys.readouterr().err
    assert said == f"{terminal_safe(text)}\n"
    paper = io.StringIO()
    console = SafeConsole(file=paper, width=200)
    table = Table(title=text)
    table.add_column(text)
    table.add_row(text)
    for printed in (text, Text(text), Text.assemble((text, "bold")), table):
        console.print(printed)
    with Progress(TextColumn("{task.description}", markup=False), console=console) as bars:
        bars.add_task(text, total=1)
    shown = paper.getvalue()
    assert shown.count(terminal_safe(text)) >= 4  # a table has no room for characters that it takes for zero wide
    assert terminal_safe(shown) == shown


@settings(deadline=None)
@given(st.text(st.characters()))
def test_no_text_makes_the_console_raise_or_obey(text: str) -> None:
    paper = io.StringIO()
    SafeConsole(file=paper, width=80).print(text, Text(text))
    assert terminal_safe(paper.getvalue()) == paper.getvalue()


def test_colours_of_our_own_stay() -> None:
    paper = io.StringIO()
    SafeConsole(file=paper, force_terminal=True).print(Text("red", "red"))
    assert "\x1b[" in paper.getvalue()


def test_json_is_complete_and_harmless() -> None:
    paper = io.StringIO()
    say_json({"title": "".join(STRANGE)}, paper)
    assert json.loads(paper.getvalue()) == {"title": "".join(STRANGE)}
    assert terminal_safe(paper.getvalue()) == paper.getvalue()


def test_what_is_logged_has_neither_secrets_nor_controls(capsys: pytest.CaptureFixture[str]) -> None:
    configure()
    logging.getLogger("rumiai_ray.any").warning("no video at %s \x1b[31m", "https://u:hunter2@h.example/a?sig=hunter2")
    assert "no video at https://h.example/a?… \N{REPLACEMENT CHARACTER}[31m" in capsys.readouterr().err


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.relative_to(CLI.parents[1]).as_posix())
def test_no_module_of_the_command_line_and_no_job_prints_by_itself(path: Path) -> None:
    if path.is_relative_to(CLI) and path.relative_to(CLI).as_posix() in EXEMPT:
        return
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    names = {ast.unparse(call.func) for call in calls}
    assert not names & {"print", "Console", "typer.echo", "typer.secho", "rich.print", "Text.from_markup", "escape"}
    columns = [call for call in calls if ast.unparse(call.func) == "TextColumn"]
    assert all(any(one.arg == "markup" for one in call.keywords) for call in columns), "a column's text is markup unless it says no"
