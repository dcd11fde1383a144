"""The commands that README and docs show can be typed: each is parsed by the command line, each query is answered."""

from __future__ import annotations

import re
import shlex
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import typer

from command_line import run_main
from cookbook_corpus import write_cookbook_corpus
from report_run import plain_rows, write_run
from rumiai_ray import open_corpus
from rumiai_ray.cli.app import _VERBS, command_line
from rumiai_ray.runs.find import find_run
from rumiai_ray.runs.writer import RunWriter
from shown_commands import shown_commands
from synthetic_run import RUN_ID, manifest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "jobs/README.md"]


USAGE: type[Exception] = typer.BadParameter.__mro__[1]
"""What the command line raises for anything it does not understand; typer has no public name for it."""
PLACEHOLDERS = {"FORMAT": "csv"}
"""What a reader puts in their place, where not everything will do."""


def commands() -> list[tuple[str, str]]:
    """Every command line of this program in a fenced block, with its page; lines that go on are joined."""
    return [(str(page.relative_to(ROOT)), one.line) for page in PAGES for one in shown_commands(page) if not one.in_sentence]


def mentions() -> list[tuple[str, str]]:
    """Every command line of this program in a sentence, with its page."""
    return [(str(page.relative_to(ROOT)), one.line) for page in PAGES for one in shown_commands(page) if one.in_sentence]


def test_there_are_commands_to_try() -> None:
    assert len(commands()) >= 20
    assert len(set(mentions())) >= 40


def understand(line: str, *, bare: bool = False) -> None:
    """Parse a command line; raises where a verb, an option or an argument is not known.

    Args:
        line: of this program.
        bare: a verb without anything is a name of it, not a call: what it needs may be missing.
    """
    words = [PLACEHOLDERS.get(word, word) for word in shlex.split(line.removeprefix("python -m "), comments=True)[1:]]
    if ">" in words:
        words = words[: words.index(">")]
    group: Any = typer.main.get_command(command_line())
    name, *rest = words if words[0] in _VERBS else ["analyze", *words]
    command = group.commands[name]
    while hasattr(command, "commands"):
        name, *rest = rest
        command = command.commands[name]
    if rest or not bare:
        with suppress(typer.Exit):  # `--help-all` is answered at once
            command.make_context(name, rest)


@pytest.mark.parametrize(("page", "line"), commands())
def test_a_command_that_a_page_shows_is_understood(page: str, line: str) -> None:
    del page
    understand(line)


@pytest.mark.parametrize(("page", "line"), sorted(set(mentions())))
def test_a_command_that_a_sentence_names_is_understood(page: str, line: str) -> None:
    del page
    understand(line, bare=True)


@pytest.mark.parametrize("line", ["rumiai-ray runs shw", "rumiai-ray runs show RUN --failure-list", "rumiai-ray export RUN --format words"])
def test_a_sentence_with_a_slip_is_noticed(line: str) -> None:
    with pytest.raises((KeyError, USAGE)):
        understand(line, bare=True)


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


IN_COOKBOOK = [line for page, line in commands() if page == "docs/cookbook.md"]
COOKBOOK_ANSWERS = [
    "input,written,spoken\ncats.mp4,1,0\ndogs.mp4,1,0\n",
    "entry_id,kind,start_s,end_s,text\ndogs,overlay,0.0,2.0,SHOP NOW\n",
    "author,videos,average_shot_s,shortest_s\nann,1,2.5,2.5\nzoe,2,2.86,2.0\n",
    "entry_id,face_visibility_rate,eye_contact_rate,dominant_shot_type\ndogs,1.0,0.5,close\n",
    "label,videos,confidence\nbird,1,0.75\ncat,1,0.75\ndog,1,0.75\n",
    "entry_id,start_s,word\ndogs,1.0,free\n",
    "entry_id\ndogs\n",
    "entry_id,hook,closing,n\ndogs,0.75,0.25,10\n",
    "quarter,videos,words_per_minute,cuts_per_minute\n1,1,18.0,6.0\n2,1,6.0,24.0\n3,1,12.0,18.0\n",
    "what,reason,n\nnot read,InputError,1\nemotion,ModelError,1\n",
]


@pytest.fixture
def cookbook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs in `runs` of the working directory."""
    monkeypatch.setattr("os.fsync", lambda _: None)
    monkeypatch.setenv("RUMIAI_OUT", "runs")
    monkeypatch.chdir(tmp_path)
    write_cookbook_corpus(Path("runs"))


@pytest.mark.usefixtures("cookbook")
@pytest.mark.parametrize(("line", "answer"), list(zip(IN_COOKBOOK, COOKBOOK_ANSWERS, strict=True)), ids=map(str, range(1, 11)))
def test_each_question_of_the_cookbook_gets_its_answer(
    line: str, answer: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = run_main((*shlex.split(line)[1:], "--csv"), monkeypatch, capsys)
    assert (ended.code, ended.out) == (0, answer), ended.err


def test_the_cookbook_is_of_corpora_as_well_as_of_single_runs() -> None:
    assert sum(line.startswith("rumiai-ray corpus query") for line in IN_COOKBOOK) >= len(IN_COOKBOOK) / 3


@pytest.mark.parametrize(
    "page", [*PAGES, *(ROOT / f"{name}.md" for name in ("SECURITY", "CONTRIBUTING", "ARCHITECTURE"))], ids=lambda page: page.name
)
def test_a_link_of_a_page_leads_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    assert [link for link in links if link and not (page.parent / link).exists()] == []
