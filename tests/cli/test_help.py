from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer

from rumiai_ray.cli.app import _VERBS, command_line, main
from rumiai_ray.cli.exits import Exit
from rumiai_ray.cli.help_text import EVERYDAY
from rumiai_ray.config import flat_settings

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = {".".join(path): "--" + "-".join(path).replace("_", "-") for path, _ in flat_settings()}


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Calls the command line on a terminal of 80 columns; gives what it printed."""
    monkeypatch.setenv("COLUMNS", "80")

    def call(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["rumiai-ray", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == Exit.COMPLETE
        return capsys.readouterr().out

    return call


def flags_in(text: str) -> set[str]:
    return set(re.findall(r"--[a-z0-9-]+", text))


@pytest.mark.parametrize("verb", ["analyze", "batch", "plan", "up", "demo"])
def test_every_setting_has_its_whole_name_at_80_columns(printed: Callable[..., str], verb: str) -> None:
    said = printed(verb, "--help-all")
    assert set(SETTINGS.values()) <= flags_in(said)
    assert max(map(len, said.splitlines())) <= 80


@pytest.mark.parametrize("verb", ["analyze", "batch"])
def test_help_shows_what_people_use_every_day_and_three_examples(printed: Callable[..., str], verb: str) -> None:
    said = printed(verb, "--help")
    assert flags_in(said) & set(SETTINGS.values()) == {SETTINGS[name] for name in EVERYDAY}
    assert "--help-all" in said
    assert len(said.partition("Examples:\n")[2].splitlines()) == 3
    assert len(said.splitlines()) < 80


def test_the_settings_of_a_group_stand_under_its_name(printed: Callable[..., str]) -> None:
    said = printed("analyze", "--help-all")
    whisper = said.partition("Settings, whisper:\n")[2].partition("\n\n")[0]
    assert flags_in(whisper) >= {flag for name, flag in SETTINGS.items() if name.startswith("whisper.")}


def test_help_all_alone_is_that_of_the_command_that_is_meant_without_a_verb(printed: Callable[..., str]) -> None:
    assert printed("--help-all").splitlines()[1:] == printed("analyze", "--help-all").splitlines()[1:]


@pytest.mark.parametrize("verb", ["analyze", "batch", "list", None])
def test_the_command_lines_shown_as_examples_can_be_parsed(verb: str | None) -> None:
    group: Any = typer.main.get_command(command_line())
    epilog = (group.commands[verb] if verb else group).epilog
    for line in epilog.splitlines():
        program, *words = shlex.split(re.split(r"  +| > ", line)[0])
        assert program == "rumiai-ray"
        name = words[0] if words[0] in _VERBS else "analyze"
        rest = words[1:] if words[0] in _VERBS else words
        group.commands[name].make_context(name, rest)  # raises where an option or an argument is not known


@pytest.mark.parametrize(("typed", "offered"), [("rumiai-ray an", "analyze"), ("rumiai-ray analyze --ocr-e", "--ocr-engine")])
def test_a_shell_completes_verbs_and_options(typed: str, offered: str) -> None:
    variables = {"COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1), "_RUMIAI_RAY_COMPLETE": "complete_bash"}
    code = "import sys; sys.argv = ['rumiai-ray']; from rumiai_ray.cli.app import main; main()"
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=os.environ | variables, check=False, timeout=60
    )
    assert offered in ended.stdout.split(), ended.stderr


@pytest.mark.parametrize("arguments", [[], ["runs"], ["weights"], ["frames"], ["corpus"], ["manifest"]])
def test_a_command_that_lacks_its_verb_shows_what_there_is(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["rumiai-ray", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == Exit.USAGE
    said = capsys.readouterr().err
    assert said.startswith("Usage: ")
    assert " ".join(["rumiai-ray", *arguments, "[OPTIONS]"]) in said
    assert "Commands:" in said


@pytest.mark.parametrize("verb", [("corpus", "ls"), ("corpus", "compact"), ("corpus", "forget"), ("manifest", "minus")])
def test_the_help_of_runs_names_every_way_to_name_one(printed: Callable[..., str], verb: tuple[str, str]) -> None:
    said = " ".join(printed(*verb, "--help").split())
    assert "ids or names under --out, the beginning of either, `latest`, paths, URIs, or quoted patterns" in said
