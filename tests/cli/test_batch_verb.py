"""`batch`, `runs resume` and `runs retry` without a model and without Ray: what is begun when, where, and with which entries."""

from __future__ import annotations

import functools
import os
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import pytest

from rumiai_ray.cli import batch
from rumiai_ray.cli.exits import Exit
from rumiai_ray.config import flat_settings, load_config
from rumiai_ray.engine.ray_session.local import LocalRay
from rumiai_ray.engine.setup.resource_plan import Machine
from rumiai_ray.engine.setup.run_setup import prepare
from rumiai_ray.engine.work.counts import Tally
from rumiai_ray.errors import ConfigError, InputError, TransientError
from rumiai_ray.ingest.entries import Entry
from rumiai_ray.ingest.table import EntryFile
from rumiai_ray.runs.find import find_run, list_runs
from rumiai_ray.runs.manifest import ClusterRecord
from synthetic_run import dead_letter_row, rows_of, stamped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from rumiai_ray.config import BaseConfig
    from rumiai_ray.engine.setup.run_setup import Prepared
    from rumiai_ray.runs.reader import Run
    from rumiai_ray.runs.writer import RunWriter

ENTRIES = EntryFile.of([Entry(name, f"{name}.mp4") for name in ("a", "b", "c")])


def commit(writer: RunWriter, name: str) -> None:
    writer.add(rows_of(name, run_id=writer.manifest.run_id))
    writer.commit([name])


class Engine:
    """Commits every entry, in place of `engine.batch.Batch`."""

    def __init__(self, _config: object, _stage: object, writer: RunWriter, *_: object) -> None:
        self._writer = writer
        self.tally = Tally()

    def run(self, entries: Iterable[Entry], _total: int, _analysed: Sequence[str]) -> str:
        for entry in entries:
            commit(self._writer, entry.entry_id)
        return "complete"

    def stop(self) -> None:
        raise AssertionError("nobody asked")


@dataclass
class Stage:
    """What happens while a command gets ready."""

    out: Path
    while_preparing: Callable[[], None] = lambda: None
    while_connecting: Callable[[], None] = lambda: None
    events: list[str] = field(default_factory=list)

    def config(self, **flags: Any) -> BaseConfig:
        return load_config(flags={"store": str(self.out.parent / "store"), "models": "yolo", **flags})


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    for name in [name for name in os.environ if name.startswith("RUMIAI_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    stage = Stage(tmp_path / "runs")

    def prepared(config: BaseConfig, entries: EntryFile, run_id: str | None, _kept: object = None) -> Prepared:
        stage.while_preparing()
        return prepare(config, [], entries, command=["test"], run_id=run_id)

    @contextmanager
    def connected(_: BaseConfig) -> Iterator[LocalRay]:
        stage.events.append("connecting")
        stage.while_connecting()
        yield LocalRay("0" * 64, tmp_path)

    monkeypatch.setattr(batch, "_prepare", prepared)
    monkeypatch.setattr("rumiai_ray.engine.ray_session.session.connected", connected)
    monkeypatch.setattr("rumiai_ray.engine.batch.BatchRun", Engine)
    cluster = ClusterRecord(ray_version="0", nodes=1, resources={"CPU": 2.0})
    monkeypatch.setattr("rumiai_ray.engine.setup.machines.cluster_of_now", lambda: cluster)
    monkeypatch.setattr("rumiai_ray.engine.setup.machines.machines_of_ray", lambda *_: [Machine(cpus=2, memory_gb=16)])
    return stage


def begun(stage: Stage, run_id: str, **flags: Any) -> RunWriter:
    """A run whose driver is at work."""
    return prepare(stage.config(**flags), [], ENTRIES, command=["test"], run_id=run_id).create_run()


@pytest.mark.parametrize("moment", ["while_preparing", "while_connecting"])
def test_what_an_old_driver_commits_while_its_run_is_being_resumed_is_not_done_again(stage: Stage, moment: str) -> None:
    old = begun(stage, "drained")
    setattr(stage, moment, lambda: commit(old, "a"))
    assert batch.resume(find_run("drained", stage.out), stage.config()) == Exit.COMPLETE
    run = find_run("drained", stage.out)
    assert run.verify() == []
    assert [record.committed for record in run.records if record.kind == "commit"] == [("a",), ("b",), ("c",)]
    with pytest.raises(ConfigError, match="another writer"):
        commit(old, "b")


def test_a_renamed_run_does_not_go_on_as_its_sibling(stage: Stage) -> None:
    commit(begun(stage, "original"), "a")
    (stage.out / "original").rename(stage.out / "copy")
    begun(stage, "original")
    with pytest.raises(ConfigError, match="copy: holds the run original"):
        batch.resume(find_run("copy", stage.out), stage.config())
    assert stage.events == []
    assert find_run("original", stage.out).records == ()


@pytest.mark.parametrize(("given", "lands"), [({}, "there/runs"), ({"out": "elsewhere"}, "elsewhere")])
def test_a_retry_lands_beside_its_run_unless_it_is_told_where(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], lands: str
) -> None:
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "there")
    writer = begun(stage, "failed")
    writer.add({"dead_letter": stamped("dead_letter", [dead_letter_row("b")], "b", "failed")})
    writer.commit(["a", "c"], ["b"])
    monkeypatch.chdir(tmp_path)
    assert batch.retry(find_run("there/runs/failed", "runs"), stage.config(**given)) == Exit.COMPLETE
    (new,) = [run for run in list_runs(tmp_path / lands) if run.run_id != "failed"]
    assert list(new.entries()) == ["b"]
    assert {path.name for path in tmp_path.iterdir()} == {"there", "store", lands.partition("/")[0]}


def test_a_batch_whose_ray_does_not_start_leaves_nothing_and_its_name_free(stage: Stage) -> None:
    def fail() -> None:
        raise TransientError("did not start", "Ray")

    stage.while_connecting = fail
    with pytest.raises(TransientError, match="Ray: did not start"):
        batch.start(ENTRIES, stage.config(), run_id="monday")
    assert not stage.out.exists()
    stage.while_connecting = lambda: None
    assert batch.start(ENTRIES, stage.config(), run_id="monday") == Exit.COMPLETE
    assert list(find_run("monday", stage.out).entries()) == ["a", "b", "c"]


def test_before_ray_is_there_a_batch_says_that_it_is_being_started(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    said: list[str] = []
    stage.while_connecting = lambda: said.extend(capsys.readouterr().err.splitlines())
    batch.start(ENTRIES, stage.config(), run_id="monday")
    assert said == ["starting Ray"]


def test_the_first_word_of_a_batch_comes_before_its_manifest_is_read(
    stage: Stage, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="no such file"):
        batch.batch(str(tmp_path / "none.csv"), stage.config())
    assert capsys.readouterr().err.splitlines() == ["reading the manifest"]


def test_a_name_that_is_taken_is_refused_before_ray_is_started(stage: Stage) -> None:
    begun(stage, "monday")
    with pytest.raises(ConfigError, match="exists already"):
        batch.start(ENTRIES, stage.config(), run_id="monday")
    assert stage.events == []


TRUSTING: dict[str, Any] = {
    "limits": {"private_hosts": True, "max_input_mb": 1, "inputs": "web"},
    "store_remote": "s3://elsewhere/frames",
    "cookies": "/home/you/.ssh/id_ed25519",
    "proxy": "http://elsewhere:3128",
    "on_end": "touch /elsewhere",
    "weights_dir": "/home/you",
    "engine": {"drain_s": 1.0},
    "yolo": {"weights": "/home/you/runs/crafted/pickle.pt", "weights_sha256": "0" * 64},
}
"""Execution settings that somebody may write into the manifest of a run and hand it on."""


def crafted(stage: Stage, run_id: str = "crafted") -> Run:
    """A run with a dead letter, whose manifest holds settings of a stranger."""
    given = stage.config(sampling={"fps": 2.0}, ocr={"canvas_px": 512})
    stranger = given.model_copy(update={"store": "/elsewhere"}).model_dump(mode="json")
    config = stranger | {name: stranger[name] | value if isinstance(value, dict) else value for name, value in TRUSTING.items()}
    prepared = prepare(given, [], ENTRIES, command=["test"], run_id=run_id)
    writer = replace(prepared, manifest=prepared.manifest.model_copy(update={"config": config})).create_run()
    writer.add({"dead_letter": stamped("dead_letter", [dead_letter_row("b")], "b", run_id)})
    writer.commit(["a", "c"], ["b"])
    return find_run(run_id, stage.out)


def test_only_result_settings_are_taken_from_a_run(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    run = crafted(stage)
    now = stage.config(out=str(stage.out))
    config = batch.config_of_run(run, now)
    assert (config.sampling.fps, config.model_settings("ocr").model_dump()["canvas_px"]) == (2.0, 512)
    for path, info in flat_settings():
        value, ours = (functools.reduce(getattr, path, settings) for settings in (config, now))
        if (info.json_schema_extra or {}).get("effect") == "execution":
            assert value == ours, path
    assert config.model_settings("yolo").model_dump()["weights"] == ""
    said = capsys.readouterr().err
    for name in ("limits.private_hosts", "store_remote", "cookies", "proxy", "on_end", "weights_dir", "engine.drain_s", "yolo.weights"):
        assert name in said
    assert "elsewhere" not in said, "a value of a stranger's is not printed"


FREE_TEXT = {
    ("models",): "names of the catalogue",
    ("insights", "call_to_action"): "words that are looked for",
    ("ocr", "languages"): "codes of EasyOCR's own list",
    (
        "whisper",
        "model",
    ): "names a repository of Systran's, whose files must be pinned on this machine, and no format of theirs is a pickle",
    ("whisper", "languages"): "languages' codes",
    ("whisper", "language"): "a language's code",
    ("whisper", "expected_language"): "a language's code",
}
"""Result settings that take any text and name no file."""


def test_a_result_setting_that_may_name_code_is_marked_as_such() -> None:
    """`resume` and `retry` would take it from a stranger's run otherwise."""
    settings = [(path, info) for path, info in flat_settings() if (info.json_schema_extra or {}).get("effect") == "result"]
    free = {path for path, info in settings if {str, Path} & {info.annotation, *get_args(info.annotation)}}
    marked = {path for path, info in settings if info.json_schema_extra.get("names_code")}
    assert {("yolo", "weights"), ("yolo", "weights_sha256")} <= marked
    assert sorted(free - marked - set(FREE_TEXT)) == [], "mark it with `names_code`, or say here why its text can name no file"
    assert set(FREE_TEXT) <= free - marked


def test_what_is_given_now_counts_whatever_the_run_says(stage: Stage) -> None:
    run = crafted(stage)
    config = batch.config_of_run(run, stage.config(sampling={"fps": 5.0}, limits={"private_hosts": True}, device="cpu"))
    assert (config.sampling.fps, config.limits.private_hosts, config.device) == (5.0, True, "cpu")


@pytest.mark.parametrize(("verb", "code"), [(batch.retry, Exit.COMPLETE), (batch.resume, Exit.TROUBLED)])
def test_a_retry_and_a_resume_run_with_the_limits_of_now(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, verb: Callable[[Run, BaseConfig], Exit], code: Exit
) -> None:
    run = crafted(stage)
    seen: list[BaseConfig] = []
    prepared = batch._prepare

    def noting(config: BaseConfig, *rest: Any) -> Prepared:
        seen.append(config)
        return prepared(config, *rest)

    monkeypatch.setattr(batch, "_prepare", noting)
    assert verb(run, stage.config()) == code
    (config,) = seen
    assert not config.limits.private_hosts
    assert (config.store_remote, config.cookies, config.proxy, config.weights_dir) == (None, None, None, None)


def test_a_result_setting_of_a_run_that_is_not_allowed_is_named(stage: Stage) -> None:
    run = crafted(stage)
    run.manifest.config["sampling"]["fps"] = 1e9
    with pytest.raises(ConfigError, match=r"sampling\.fps"):
        batch.config_of_run(run, stage.config())
