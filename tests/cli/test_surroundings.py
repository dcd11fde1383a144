"""The locale and the time zone of a machine change no result and end no command."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pytest

from product import rumiai_ray
from report_run import video_row, write_run
from rumiai_ray.cli.terminal import say_json

if TYPE_CHECKING:
    from pathlib import Path

PLAIN = {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.parametrize("locale", [PLAIN, {"LANG": "de_XX.nowhere", "LC_ALL": "de_XX.nowhere"}, {"PYTHONIOENCODING": "ascii"}])
def test_names_in_any_script_are_read_and_printed_in_a_locale_without_them(locale: dict[str, str], tmp_path: Path) -> None:
    run = write_run(tmp_path / "runs", {"clip": {"videos": [video_row("clip", title="Füße 日本語 🎬", input="Füße.mp4")]}})
    ended = rumiai_ray("query", run.run_id, "SELECT title FROM videos", "--json", "--out", "runs", cwd=tmp_path, variables=locale)
    assert (ended.code, "Traceback" in ended.stderr) == (0, False)
    assert json.loads(ended.stdout) == [{"title": "Füße 日本語 🎬"}]
    shown = rumiai_ray("runs", "show", run.run_id, "--out", "runs", cwd=tmp_path, variables=locale)
    assert (shown.code, "Traceback" in shown.stderr) == (0, False)
    assert "Füße.mp4" in shown.stdout


def test_json_stays_json_in_an_encoding_of_few_characters() -> None:
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding="latin-1", errors="backslashreplace")
    say_json({"title": "Füße 日本語 🎬"}, stream)
    stream.flush()
    assert json.loads(written.getvalue().decode("latin-1")) == {"title": "Füße 日本語 🎬"}


def test_times_are_the_same_in_every_time_zone(tmp_path: Path) -> None:
    run = write_run(tmp_path / "runs", {"clip": {}})
    zones = ("UTC", "Asia/Tokyo", "America/St_Johns", ":of/no/such/place")
    said = {rumiai_ray("runs", "ls", "--json", "--out", "runs", cwd=tmp_path, variables={"TZ": zone}).stdout for zone in zones}
    assert len(said) == 1
    assert run.run_id in said.pop()
    pages = set()
    for number, zone in enumerate(zones):
        to = tmp_path / str(number)
        assert (
            rumiai_ray("report", run.run_id, "--no-pictures", "--to", to, "--out", "runs", cwd=tmp_path, variables={"TZ": zone}).code == 0
        )
        pages.add((to / "index.html").read_text(encoding="utf-8"))
    assert len(pages) == 1
