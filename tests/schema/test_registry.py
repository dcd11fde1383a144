from __future__ import annotations

import subprocess
import sys

import pytest

from rumiai_ray.schema import Table
from rumiai_ray.schema.registry import TABLES_BY_NAME, by_name


def test_every_family_is_found_without_a_line_of_its_own() -> None:
    assert {"videos", "analyses", "dead_letter", "objects", "faces", "texts", "words", "emotions"} <= TABLES_BY_NAME.keys()


def test_two_tables_of_one_name_are_refused() -> None:
    table = Table("objects", 1, "x", ())
    with pytest.raises(ValueError, match="objects"):
        by_name([table, table])


def test_gathering_the_tables_imports_no_model() -> None:
    code = "import sys, rumiai_ray.schema.registry; print([m for m in sys.modules if m.startswith('rumiai_ray.models')])"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip() == "[]"
