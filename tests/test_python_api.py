from __future__ import annotations

import doctest
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import rumiai_ray
from report_run import plain_rows, write_run
from rumiai_ray.cli import analyze as _analyze
from rumiai_ray.cli import batch as _batch
from rumiai_ray.corpus.reader import Corpus
from rumiai_ray.errors import ConfigError
from rumiai_ray.runs.reader import Run
from rumiai_ray.runs.writer import RunWriter
from synthetic_run import RUN_ID, manifest

if TYPE_CHECKING:
    from pathlib import Path

    from rumiai_ray.config import BaseConfig


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, BaseConfig]]:
    """What the verbs, which only write an empty run here, were asked for."""
    calls: list[tuple[Any, BaseConfig]] = []

    def write(inputs: Any, config: BaseConfig, *, run_id: str, quiet: bool = True) -> None:
        assert quiet
        calls.append((inputs, config))
        assert run_id
        RunWriter.create(config.out, manifest().model_copy(update={"run_id": run_id})).finish("complete", {})

    monkeypatch.setattr(_analyze, "analyze_inputs", write)
    monkeypatch.setattr(_batch, "start", write)
    monkeypatch.chdir(tmp_path)
    return calls


def test_analyze_returns_the_run_that_was_written(asked: list[tuple[Any, BaseConfig]], tmp_path: Path) -> None:
    settings: dict[str, Any] = {"out": str(tmp_path / "runs"), "whisper": {"language": "en"}}
    run = rumiai_ray.analyze([tmp_path / "clip.mp4", "https://example.org/a.mp4"], models=["yolo", "whisper"], run_id=RUN_ID, **settings)
    assert isinstance(run, Run)
    assert (run.run_id, run.status) == (RUN_ID, "complete")
    ((inputs, config),) = asked
    assert inputs == [str(tmp_path / "clip.mp4"), "https://example.org/a.mp4"]
    assert config.models == ("yolo", "whisper")
    assert config.model_settings("whisper").model_dump()["language"] == "en"


def test_batch_reads_the_manifest_and_returns_the_run(asked: list[tuple[Any, BaseConfig]], tmp_path: Path) -> None:
    (tmp_path / "videos.csv").write_text("link,id\na.mp4,one\nb.mp4,two\n")
    run = rumiai_ray.batch(tmp_path / "videos.csv", input_column="link", out=str(tmp_path / "runs"))
    assert run.status == "complete"
    assert [entry.entry_id for entry in asked[0][0]] == ["one", "two"]


def test_a_setting_that_there_is_not_and_one_name_for_a_list_are_refused(asked: list[tuple[Any, BaseConfig]]) -> None:
    with pytest.raises(ConfigError, match="nosuch"):
        rumiai_ray.analyze(["a.mp4"], nosuch=1)
    with pytest.raises(ConfigError, match=r"models=\['yolo'\]"):
        rumiai_ray.analyze(["a.mp4"], models="yolo")
    assert asked == []


def test_the_package_stays_light_until_the_api_is_asked_for() -> None:
    code = "import sys, rumiai_ray; assert not {'ray', 'pyarrow', 'typer'} & set(sys.modules); rumiai_ray.analyze; rumiai_ray.batch"
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'nosuch'"):
        _ = rumiai_ray.nosuch


@pytest.fixture
def examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory with the run that the examples read, where the verbs that the examples call give that run."""

    monkeypatch.chdir(tmp_path)
    (tmp_path / "videos.csv").write_text("link,id\na.mp4,one\n")
    write_run(tmp_path / "runs", {"clip": plain_rows()})
    for module, name in ((_analyze, "analyze_inputs"), (_batch, "start")):
        monkeypatch.setattr(module, name, lambda *_, **__: None)
    monkeypatch.setattr("rumiai_ray.python_api._name", lambda _: RUN_ID)


@pytest.mark.usefixtures("examples")
@pytest.mark.parametrize(
    "public",
    [rumiai_ray.analyze, rumiai_ray.batch, rumiai_ray.open_corpus, rumiai_ray.open_run, Corpus, Run],
    ids=lambda public: public.__name__,
)
def test_every_public_function_and_class_has_an_example_that_runs(public: Any) -> None:
    (example,) = doctest.DocTestFinder(recurse=False).find(public, public.__name__, globs={})
    assert example.examples
    said: list[str] = []
    assert doctest.DocTestRunner().run(example, out=said.append).failed == 0, "".join(said)


def test_the_examples_cover_the_public_names() -> None:
    assert {*rumiai_ray.__all__} == {"__version__", "analyze", "batch", "open_corpus", "open_run"}


def test_inputs_that_are_no_list_and_a_manifest_that_is_one_are_refused(asked: list[tuple[Any, BaseConfig]]) -> None:
    wrong: Any
    for wrong in ("clip.mp4", []):
        with pytest.raises(ConfigError, match=r'not a list of inputs .analyze\(\["clip.mp4"\]\)'):
            rumiai_ray.analyze(wrong)
    wrong = ["a.mp4"]
    with pytest.raises(ConfigError, match="one path or URI is expected"):
        rumiai_ray.batch(wrong)
    with pytest.raises(ConfigError, match="setting nosuch: there is no such setting"):
        rumiai_ray.analyze(["clip.mp4"], nosuch=1)
    assert not asked
