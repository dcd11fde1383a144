"""The commands that README and docs show can be typed: each is parsed by the command line, each query is answered."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from report_run import plain_rows, write_run
from rumiai_ray import open_corpus
from rumiai_ray.cli.app import _VERBS, command_line
from rumiai_ray.runs.find import find_run
from rumiai_ray.runs.writer import RunWriter
from synthetic_run import RUN_ID, manifest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "jobs/README.md"]


def commands() -> list[tuple[str, str]]:
    """Every command line of this program in a fenced block, with its page; lines that go on are joined."""
    found = []
    for page in PAGES:
        for block in re.findall(r"(?ms)^```\w*\n(.*?)^```", page.read_text(encoding="utf-8")):
            lines = iter(block.splitlines())
            for first in lines:
                line = first.removeprefix("$ ")
                if line.startswith("rumiai-ray "):
                    while line.count('"') % 2 or line.endswith("\\"):
                        line = line.removesuffix("\\") + " " + next(lines).strip()
                    found.append((str(page.relative_to(ROOT)), line))
    return found


def test_there_are_commands_to_try() -> None:
    assert len(commands()) >= 20


@pytest.mark.parametrize(("page", "line"), commands())
def test_a_command_that_a_page_shows_is_understood(page: str, line: str) -> None:
    del page
    words = shlex.split(line, comments=True)[1:]
    if ">" in words:
        words = words[: words.index(">")]
    group: Any = typer.main.get_command(command_line())
    name, *rest = words if words[0] in _VERBS else ["analyze", *words]
    command = group.commands[name]
    while hasattr(command, "commands"):
        name, *rest = rest
        command = command.commands[name]
    command.make_context(name, rest)  # raises where an option or an argument is not known


QUERIES = [shlex.split(line, comments=True)[-1] for _, line in commands() if line.startswith("rumiai-ray query")]
OF_CORPORA = [
    next(word for word in shlex.split(line, comments=True) if word.startswith("SELECT"))
    for _, line in commands()
    if line.startswith("rumiai-ray corpus query")
]


@pytest.mark.parametrize("sql", QUERIES)
def test_a_query_that_a_page_shows_is_answered(sql: str, tmp_path: Path) -> None:
    RunWriter.create(tmp_path, manifest()).finish("complete", {})
    assert find_run(RUN_ID, tmp_path).query(sql).column_names


@pytest.mark.parametrize("sql", [*QUERIES, *OF_CORPORA])
def test_a_query_that_a_page_shows_is_answered_by_a_corpus_and_of_one_run_as_by_the_run(sql: str, tmp_path: Path) -> None:
    assert OF_CORPORA
    run = write_run(tmp_path, {"clip": plain_rows(), "other": plain_rows()}, dead=("gone",))
    answer = open_corpus([run.store.uri()]).query(sql)
    assert answer.column_names
    if sql in QUERIES:
        ours, theirs = ([repr(row) for row in rows.to_pylist()] for rows in (answer, run.query(sql)))
        assert sorted(ours) == sorted(theirs)


@pytest.mark.parametrize(
    "page", [*PAGES, *(ROOT / f"{name}.md" for name in ("SECURITY", "CONTRIBUTING", "ARCHITECTURE"))], ids=lambda page: page.name
)
def test_a_link_of_a_page_leads_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    assert [link for link in links if link and not (page.parent / link).exists()] == []
