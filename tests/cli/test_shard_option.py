"""`batch --shard` and `runs resume --shard` without a model and without Ray: who makes the run, who joins it, who is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from test_batch_verb import Stage, commit, stage

from command_line import run_main
from rumiai_ray.cli import batch
from rumiai_ray.cli.exits import Exit
from rumiai_ray.engine.setup.run_setup import prepare
from rumiai_ray.errors import ConfigError
from rumiai_ray.ingest.entries import Entry
from rumiai_ray.ingest.table import EntryFile
from rumiai_ray.runs.find import find_run
from rumiai_ray.runs.labels import Labels, read_labels
from rumiai_ray.runs.shards import Shard

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from command_line import Ended
    from rumiai_ray.runs.writer import RunWriter

    Call = Callable[..., Ended]

__all__ = ["stage"]

NAMES = [f"clip{number}" for number in range(12)]
ENTRIES = EntryFile.of([Entry(name, f"{name}.mp4") for name in NAMES])
ONE, TWO = Shard(1, 2), Shard(2, 2)


@pytest.fixture
def rumiai(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Calls the command line."""
    return lambda *arguments: run_main(arguments, monkeypatch, capsys)


def start(stage: Stage, shard: Shard, entries: EntryFile = ENTRIES, **flags: Any) -> Exit:
    return batch.start(entries, stage.config(**flags), run_id="posts", shard=shard)


def killed(stage: Stage, shard: Shard) -> RunWriter:
    """A driver that was killed after its first commit."""
    writer, _ = prepare(stage.config(), [], ENTRIES, command=["test"], run_id="posts", shard=shard).take_shard(shard)
    commit(writer, next(entry.entry_id for entry in ENTRIES if shard.has(entry.input)))
    return writer


def test_shards_that_are_started_one_by_one_are_one_run_with_every_entry_once(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    assert start(stage, TWO) == Exit.COMPLETE
    assert "run posts: incomplete, not ended: shard 1/2" in capsys.readouterr().err.replace("\n", " ")
    assert find_run("posts", stage.out).status == "incomplete"
    assert start(stage, ONE) == Exit.COMPLETE
    run = find_run("posts", stage.out)
    assert (run.status, run.verify(), sorted(run.entries())) == ("complete", [], sorted(NAMES))
    assert sorted(run.table("videos", ["entry_id"])["entry_id"].to_pylist()) == sorted(NAMES)


def test_a_shard_is_begun_once_and_then_resumed(stage: Stage) -> None:
    killed(stage, ONE)
    with pytest.raises(ConfigError, match=r"shard 1/2 was begun already .*--shard 1/2"):
        start(stage, ONE)
    run = find_run("posts", stage.out)
    assert batch.resume(run, stage.config(), "1/2") == Exit.COMPLETE
    assert batch.resume(run.again(), stage.config(), "2/2") == Exit.COMPLETE
    run = find_run("posts", stage.out)
    assert (run.status, run.verify(), sorted(run.entries())) == ("complete", [], sorted(NAMES))


def test_another_manifest_number_or_setting_is_refused_before_ray_is_started(stage: Stage) -> None:
    killed(stage, ONE)
    with pytest.raises(ConfigError, match="is divided into 2 shards, this command says 3"):
        start(stage, Shard(2, 3))
    with pytest.raises(ConfigError, match="other entries"):
        start(stage, TWO, EntryFile.of([Entry("other", "other.mp4")]))
    with pytest.raises(ConfigError, match="something changed"):
        start(stage, TWO, sampling={"fps": 3})
    with pytest.raises(ConfigError, match="a run of this name exists already"):
        batch.start(ENTRIES, stage.config(), run_id="posts")
    assert stage.events == []


def test_a_run_with_shards_is_resumed_by_naming_one(stage: Stage) -> None:
    killed(stage, ONE)
    run = find_run("posts", stage.out)
    with pytest.raises(ConfigError, match=r"divided into 2 shards.*name one with --shard: 1/2, 2/2"):
        batch.resume(run, stage.config())
    with pytest.raises(ConfigError, match="write `2/2`"):
        batch.resume(run, stage.config(), "2/3")
    batch.start(ENTRIES, stage.config(), run_id="plain")
    with pytest.raises(ConfigError, match="not divided into shards"):
        batch.resume(find_run("plain", stage.out), stage.config(), "1/2")


def test_labels_may_be_given_to_any_driver(stage: Stage) -> None:
    start(stage, TWO)
    batch.start(ENTRIES, stage.config(), run_id="posts", shard=ONE, labels=Labels(name="summer"))
    assert read_labels(find_run("posts", stage.out).store).name == "summer"


def test_a_shard_without_a_run_id_is_refused(tmp_path: Path, rumiai: Call) -> None:
    (tmp_path / "posts.csv").write_text("input\na.mp4\n")
    ended = rumiai("batch", "--manifest", tmp_path / "posts.csv", "--shard", "1/2")
    assert (ended.code, "needs a --run-id" in ended.err) == (Exit.USAGE, True)


def test_the_verbs_that_read_runs_read_one_with_shards(stage: Stage, rumiai: Call) -> None:
    killed(stage, ONE)
    start(stage, TWO)
    out = ("--out", stage.out)
    (listed,) = json.loads(rumiai("runs", "ls", "--json", *out).out)
    held = len(find_run("posts", stage.out).entries())
    assert (listed["status"], listed["videos"]) == ("incomplete", held)
    assert "incomplete, not ended: shard 1/2" in rumiai("runs", "show", "posts", *out).out
    assert rumiai("runs", "verify", "posts", *out).code == Exit.COMPLETE
    in_two = next(entry.entry_id for entry in ENTRIES if TWO.has(entry.input))
    assert "of shard 2)" in rumiai("runs", "why", "posts", in_two, *out).out
    told = rumiai("runs", "top", "posts", "--once", *out)
    assert (told.code, "shard 1/2: not running" in told.out, "shard 2/2: not running" in told.out) == (Exit.TROUBLED, True, True)
    assert str(held) in rumiai("query", "posts", "SELECT count(*) AS n FROM videos", *out).out
