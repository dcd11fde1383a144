"""docs/corpus-commands.md shows what the verbs of `corpus` print on made runs."""

from __future__ import annotations

import re
from pathlib import Path

from corpus_tour import tour
from rumiai_ray.cli import corpus

PAGE = Path(__file__).resolve().parents[2] / "docs/corpus-commands.md"


def test_the_page_shows_what_the_commands_print_today(tmp_path: Path) -> None:
    shown = PAGE.read_text(encoding="utf-8")
    shown = shown[shown.index("## ") :]
    assert tour(tmp_path).splitlines() == shown.splitlines(), "tests/support/corpus_tour.py EMPTY_DIRECTORY docs/corpus-commands.md"
    verbs = set(re.findall(r"^\$ rumiai-ray corpus (\w+)", shown, re.MULTILINE))
    assert verbs == {command.name for command in corpus.app.registered_commands}
