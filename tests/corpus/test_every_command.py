"""Every command on a corpus of five runs that overlap: one with other settings, one of an older release."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from command_line import run_main
from every_corpus_command import correct, steps
from made_corpus import Commit, Made, made_run
from report_run import analysis_row, video_row, write_run
from rumiai_ray import open_corpus, open_run
from synthetic_run import RUN_ID, object_row, video_key

OLDER = Path(__file__).resolve().parents[1] / "runs/older/2026-11-27.tar.gz"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("os.fsync", lambda _: None)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("RUMIAI_OUT", str(tmp_path / "runs"))
    monkeypatch.setenv("RUMIAI_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "runs"
    made_run(out, "one", [Commit(1, [Made("a.mp4", "a", mark=1), Made("b.mp4", "b", mark=2)])])
    made_run(out, "two", [Commit(2, [Made("b.mp4", "b", mark=3), Made("x.mp4", "x", dead=True)])])
    made_run(out, "three", [Commit(3, [Made("c.mp4", "c", mark=4)])], result_settings={"long_side": 1})
    seen = analysis_row("yolo", frames_seen=[0, 1], frames_planned=2, frames_analyzed=2)
    write_run(out, {"d": {"videos": [video_row("d")], "analyses": [seen], "objects": [object_row(0), object_row(1)]}})
    with tarfile.open(OLDER) as archive:
        archive.extractall(tmp_path / "older", filter="data")
    next((tmp_path / "older").iterdir()).rename(out / "older")
    (tmp_path / "posts.csv").write_text("input\nhttps://example.com/new.mp4\n")
    return tmp_path


def test_every_command_on_a_corpus_says_what_it_should(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(list((place / "runs").iterdir())) == 5
    for step in steps(f"runs/{RUN_ID}", video_key("b")):
        ended = run_main(step.arguments, monkeypatch, capsys)
        assert ended.code == step.code, (step, ended)
        assert step.says in ended.out + ended.err, (step, ended)
        if step.arguments[0] == "export":
            correct(place)
    corpus = open_corpus([f"{place}/runs/*"], allow_mixed=True)
    assert corpus.query("SELECT count(*) FILTER (verdict = 'removed') AS n FROM reviews").to_pylist() == [{"n": 1}]
    assert all(not open_run(run).verify() for run in (place / "runs").iterdir())
