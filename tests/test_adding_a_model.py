"""docs/adding-a-model.md is followed to the letter by the family it describes, and what the family declares turns up everywhere. No Ray."""

from __future__ import annotations

import csv
import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from packaging.requirements import Requirement

from command_line import run_main
from rumiai_ray.cli.exits import Exit
from rumiai_ray.engine.cell.messages import Index, Outcome
from rumiai_ray.engine.results.assemble import assemble
from rumiai_ray.engine.work.arrow_ipc import pack
from rumiai_ray.engine.work.item import Sampled, VideoPlan
from rumiai_ray.models.base import ModelPlan
from rumiai_ray.models.catalogue import MODELS, default_models, model_class
from rumiai_ray.runs.writer import RunWriter
from rumiai_ray.schema.registry import TABLES_BY_NAME
from synthetic_run import manifest, stamped, video_key, video_row
from synthetic_video import THRESHOLDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from rumiai_ray.engine.cell.messages import Payload

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "adding-a-model.md").read_text(encoding="utf-8")
EXCERPTS = re.findall(r"^`([\w./-]+)`\n```\w+\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = [shlex.split(line) for line in re.findall(r"^rumiai-ray (.*)$", PAGE, re.MULTILINE)]


def test_every_file_that_the_page_names_exists() -> None:
    named = set(re.findall(r"`([\w.-]+(?:/[\w.-]+)*/?)`", PAGE))
    paths = {name for name in named if "/" in name or name.endswith((".md", ".toml")) or name == "Makefile"}
    assert {"rumiai_ray/models/catalogue.py", "Makefile", "pyproject.toml"} <= paths
    assert [name for name in sorted(paths) if not (ROOT / name).exists()] == []


NAMED_IN_FILES = re.findall(r"`([A-Z][A-Z0-9_]+)` (?:of|in)\s+`([\w./-]+)`", PAGE)


def test_the_page_names_each_variable_together_with_its_file() -> None:
    named = set(re.findall(r"`([A-Z][A-Z0-9_]+)`", PAGE)) - {"TABLES", "RUMIAI_EMBED_FPS"}
    assert named == {name for name, _ in NAMED_IN_FILES}
    assert named >= {"EXTRAS", "MODELS"}


@pytest.mark.parametrize(("name", "path"), NAMED_IN_FILES)
def test_every_variable_that_the_page_names_is_set_in_its_file(name: str, path: str) -> None:
    assert re.search(rf"^(?:ARG )?{name} ?[:?]?=", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)


def test_the_extra_is_where_the_page_says_that_it_is_named() -> None:
    (extras,) = re.findall(r"^EXTRAS := (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert "embed" in extras.split(",")


@pytest.mark.parametrize(("path", "text"), EXCERPTS, ids=[path for path, _ in EXCERPTS])
def test_every_excerpt_stands_in_its_file(path: str, text: str) -> None:
    assert text in (ROOT / path).read_text(encoding="utf-8")


def test_the_page_has_an_excerpt_of_every_step_that_writes_code() -> None:
    assert [path for path, _ in EXCERPTS] == [
        "pyproject.toml", "rumiai_ray/schema/embed.py", *["rumiai_ray/models/embed/model.py"] * 2, "rumiai_ray/models/catalogue.py",
    ]  # fmt: skip


def test_nothing_of_the_product_names_the_family_but_its_own_files_and_the_line_of_the_catalogue() -> None:
    """Every list in which a new family could be forgotten is derived: no other file has the family, its table or its library as a name."""
    naming = {
        path.relative_to(ROOT).as_posix()
        for folder in ("rumiai_ray", "jobs")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".html", ".css", ".js"}
        and re.search(r"""["'.]embed["'.:]|["'.]embeddings["'.]|open_clip|EMBEDDINGS""", path.read_text(encoding="utf-8"))
    }
    assert naming == {
        "rumiai_ray/models/catalogue.py", "rumiai_ray/models/embed/image_tower.py", "rumiai_ray/models/embed/model.py",
        "rumiai_ray/schema/embed.py",
    }  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_what_a_candidate_runs_is_installed_by_the_base_or_by_the_extra_that_it_names(name: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    model = model_class(name)
    for candidate in model.choices(model.settings_type()):
        lines = extras[candidate.extra] if candidate.extra else project["dependencies"]
        installed = {Requirement(line).name for line in lines}
        assert candidate.package in installed | {"rapidocr", "numpy"}, candidate.backend
        assert not candidate.extra or model.opt_in


def test_a_family_whose_library_is_an_extra_does_not_run_unasked() -> None:
    assert "embed" in MODELS
    assert "embed" not in default_models()


def rows_of(turned: float) -> list[dict[str, Any]]:
    return [{"frame_index": at, "time_s": at / 5, "embedding": [1.0, turned, 0.25]} for at in range(0, 20, 5)]


def tables_of(run_id: str, entry: str, turned: float) -> dict[str, Any]:
    """One video's tables as assembly makes them: two shots of 2 s, and a frame a second."""
    key = video_key(entry)
    shots = [{"shot_index": at, "start_s": at * 2.0, "end_s": at * 2.0 + 2, "duration_s": 2.0, "frames": 60} for at in range(2)]
    cut = Outcome(1, 0.1, rows=2, frames=(), audio_s=0.0, missed=(), failure=None, thumbnails=120)
    seen = Outcome(1, 0.1, rows=4, frames=(0, 5, 10, 15), audio_s=0.0, missed=(), failure=None)
    answers: list[tuple[Index, Payload]] = [
        (Index(entry, key, 0, 2, {"shots": cut}), {"shots": {"shots": pack(TABLES_BY_NAME["shots"].rows(shots))}}),
        (Index(entry, key, 1, 2, {"embed": seen}), {"embed": {"embeddings": pack(TABLES_BY_NAME["embeddings"].rows(rows_of(turned)))}}),
    ]
    times_s = tuple(at / 5 for at in range(20))
    sampled = Sampled(4.0, width_px=100, height_px=100, times_s=times_s, shown_until_s=(*times_s[1:], 4.0))
    plan = VideoPlan(key, {"embed": 4}, (), {}, (), (), 2, sampled, {"shots": 120})
    models = [
        ModelPlan(
            name, backend="b", version="1", stand_in=False, files={}, digests={}, weights_sha256="", device="cpu", precision="fp32",
            settings=model_class(name).settings_type(),
        )
        for name in ("shots", "embed")
    ]  # fmt: skip
    return assemble(run_id, plan, models, answers, THRESHOLDS)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of one video, `before` and `after`; one value of every embedding differs."""
    folder = tmp_path_factory.mktemp("runs")
    for run_id, turned in (("before", 0.5), ("after", 0.75)):
        writer = RunWriter.create(folder, manifest(run_id))
        writer.add(tables_of(run_id, "a", turned) | {"videos": stamped("videos", [video_row("a")], "a", run_id)})
        writer.commit(["a"])
        writer.finish("complete", {})
    return folder


@pytest.fixture
def rumiai(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Calls the command line, in this process, where no settings but these are; gives stdout."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("RUMIAI_OUT", str(runs))
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str, code: int = 0) -> str:
        ended = run_main(arguments, monkeypatch, capsys)
        assert ended.code == code, (arguments, ended)
        return ended.out

    return call


def test_the_page_s_commands_that_need_no_run_know_the_family(rumiai: Callable[..., str]) -> None:
    asked = [command for command in COMMANDS if command[0] in {"schema", "weights", "plan"}]
    assert len(asked) == 3
    for command in asked:
        assert "embed" in rumiai(*command)
    assert "--embed-fps" in rumiai("analyze", "--help-all")


def test_the_page_s_query_gives_one_frame_for_each_shot(rumiai: Callable[..., str]) -> None:
    (asked,) = [command for command in COMMANDS if command[0] == "query"]
    said = rumiai("query", "before", asked[2], "--json")
    assert [(row["shot_index"], row["time_s"]) for row in json.loads(said)] == [(0, 1.0), (1, 3.0)]


def test_an_export_has_the_embeddings(rumiai: Callable[..., str], tmp_path: Path) -> None:
    rumiai("export", "before", "--to", "csv")
    with (tmp_path / "csv" / "embeddings.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [json.loads(row["embedding"]) for row in rows] == [row["embedding"] for row in rows_of(0.5)]
    assert [row["is_key_frame"].lower() for row in rows] == ["false", "true", "false", "true"]


def test_two_runs_are_compared_by_frame(rumiai: Callable[..., str]) -> None:
    said = json.loads(rumiai("runs", "diff", "before", "after", "--json", code=int(Exit.TROUBLED)))
    (found,) = [table for table in said["tables"] if table["name"] == "embeddings"]
    assert (found["changed"], found["gone"], found["new"], found["rows"]) == (4, 0, 0, [4, 4])
    assert set(found["examples"][0]["key"]) == {"video_key", "frame_index"}


def test_the_report_names_the_family_and_does_not_print_its_numbers(rumiai: Callable[..., str], tmp_path: Path) -> None:
    rumiai("report", "before", "--to", "page")
    pages = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "page").rglob("*.html"))
    assert "embed" in pages
    assert "0.25, " not in pages


def test_the_dictionary_has_its_table() -> None:
    assert "## embeddings" in (ROOT / "rumiai_ray" / "schema" / "README.md").read_text(encoding="utf-8")


def test_without_shots_the_embeddings_stay_and_nothing_is_called_a_key_frame() -> None:
    table = TABLES_BY_NAME["embeddings"]
    rows = table.stamp(table.rows(rows_of(0.5)), run_id="r", video_key="v")
    assert rows["shot_index"].to_pylist() == rows["is_key_frame"].to_pylist() == [None] * 4
