"""`tests/benchmarks/near_duplicates.py`, which measures a million hashes, on few."""

from __future__ import annotations

import importlib.util
from pathlib import Path


def test_planted_near_duplicates_are_found_among_hashes_made_at_random() -> None:
    spec = importlib.util.spec_from_file_location("near_duplicates_scale", Path(__file__).parent / "near_duplicates.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    measured = script.main(["--hashes", "20000", "--planted", "40"])
    assert measured["found"] >= 39
    assert measured["others"] == 0
