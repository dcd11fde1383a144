"""SECURITY.md names a test in each row of its tables, and each test that it names exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
_NAMED = re.compile(r"`(tests/[\w/]+\.py)?::(test_\w+)`")
_SAME = {"same", "likewise"}


def blocks() -> list[str]:
    """Stretches of lines that begin with `|`: each is a table, if its second line says so."""
    return re.findall(r"(?:^[ \t]*\|.*(?:\n|\Z))+", PAGE, re.MULTILINE)


def tables() -> list[list[list[str]]]:
    """Cells of the rows of each table whose last column is the test; the first row is the head."""
    found: list[list[list[str]]] = []
    for block in blocks():
        rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in block.splitlines()]
        if rows[0][-1].lower() == "test":
            found.append([rows[0], *rows[2:]])
    return found


@cache
def names_in(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"))


def test_each_attack_names_a_test_that_exists() -> None:
    assert len(tables()) >= 10
    wrong = []
    for table in tables():
        for row in table[1:]:
            named = _NAMED.findall(row[-1])
            if row[-1] in _SAME and row is not table[1]:
                continue
            if not named or len(row) != len(table[0]) or _NAMED.sub("", row[-1]).strip(", "):
                wrong.append(f"no test, or something beside tests: {row}")
            path = ""
            for given, name in named:
                path = given or path
                if not path or name not in names_in(path):
                    wrong.append(f"{path}::{name} is not there")
    assert wrong == []


def test_every_row_belongs_to_a_table_with_a_head() -> None:
    assert [block for block in blocks() if not re.match(r"[^\n]*\n[ \t]*\|(?:\s*:?-+:?\s*\|)+\s*(?:\n|\Z)", block)] == []


def test_every_file_that_the_page_names_exists() -> None:
    named = set(re.findall(r"`((?:tests|cluster|rumiai_ray|jobs)/[\w/.-]+)[`:]", PAGE))
    assert named
    assert sorted(name for name in named if not (ROOT / name).exists()) == []
