"""Inputs made after public bug reports: none is without a test of its right answer."""

from __future__ import annotations

from pathlib import Path


def test_every_reported_input_is_named_by_a_test(reported: Path) -> None:
    lines = (reported / "MANIFEST.tsv").read_text(encoding="utf-8").splitlines()[1:]
    names = {line.partition("\t")[0] for line in lines if line.strip()}
    tests = "\n".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.rglob("test_*.py"))
    assert names
    assert {name for name in names if f'{name}"' not in tests} == set()
