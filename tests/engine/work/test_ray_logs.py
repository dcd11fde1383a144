"""Where a message sends its reader when a process of Ray has died: to a command or a directory, and from everywhere in the same words."""

from __future__ import annotations

import re
from pathlib import Path

import rumiai_ray
from rumiai_ray.config import load_config
from rumiai_ray.engine.setup.run_setup import fetch_limits, open_store, thresholds
from rumiai_ray.engine.work.entry_reader import Stage
from rumiai_ray.ingest.entries import Entry

SOURCE = Path(rumiai_ray.__file__).parent


def test_no_message_sends_its_reader_to_rays_logs_without_saying_where_they_are() -> None:
    bare = [
        f"{path.relative_to(SOURCE)}:{number}"
        for path in sorted(SOURCE.rglob("*.py"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(r"see Ray's logs(?! in \{| on the cluster)", line)
    ]
    assert bare == []


def test_the_dead_letter_of_an_input_that_ends_its_process_names_the_command_and_the_places_of_rays_logs(tmp_path: Path) -> None:
    config = load_config(flags={"store": str(tmp_path / "store")})
    stage = Stage("r", (), open_store(config), fetch_limits(config), tmp_path / "work", 16, thresholds(config))
    header = stage.given_up(Entry("a", "clip.mp4"), 3).header
    assert header is not None
    (row,) = header.row.to_pylist()
    assert "`rumiai-ray runs show RUN --failures`" in row["error_message"]
    assert "`rumiai-ray status`" in row["error_message"]
    assert "/tmp/ray" in row["error_message"]  # noqa: S108 -- Ray's own default
