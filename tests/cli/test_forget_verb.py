"""`corpus forget`, in this process, through `main`: rows, stored frames and pages go; what stays is said."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from made_corpus import Commit, Made, made_run
from rumiai_ray import open_corpus, open_run
from rumiai_ray.cli import app
from rumiai_ray.cli.exits import Exit
from rumiai_ray.config import load_config
from rumiai_ray.engine.setup.run_setup import open_store
from rumiai_ray.frames.store.files import sha256_of
from rumiai_ray.runs.writer import RunWriter
from synthetic_clips import make_clip
from synthetic_run import manifest, stamped, video_key, video_row

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def rumiai(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Calls the command line in a directory of its own, whose runs are in `runs`; gives exit code, stdout, stderr."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("RUMIAI_OUT", str(tmp_path / "runs"))
    monkeypatch.setenv("RUMIAI_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["rumiai-ray", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            app.main()
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return int(ended.value.code or 0), said.out, said.err

    return call


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two runs that share a video, each with pages where `rumiai-ray report` puts them."""
    out = tmp_path / "runs"
    made_run(out, "one", [Commit(1, [Made("a.mp4", "a", mark=1), Made("b.mp4", "b", mark=2)])])
    made_run(out, "two", [Commit(2, [Made("b.mp4", "b", mark=3), Made("x.mp4", "x", dead=True)])])
    for name in ("one-report/index.html", "one-report/videos/a.mp4.html", "one-b.mp4.html", "one-a.mp4.html", "two-mine.html"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("a page")
    return out


def test_a_video_is_forgotten_in_all_runs_that_are_named(rumiai: Call, runs: Path, tmp_path: Path) -> None:
    code, out, err = rumiai("corpus", "forget", "runs/*", "--video", video_key("b"))
    assert code == Exit.COMPLETE
    assert "one: 1 entry and " in out
    assert "two: 1 entry and " in out
    assert "not reached: exports" in err
    corpus = open_corpus([f"{runs}/*"])
    assert [run.verify() for run in corpus.runs] == [[], []]
    assert corpus.table("videos", ["video_key"])["video_key"].to_pylist() == [video_key("a")]
    assert set(corpus.table("objects")["video_key"].to_pylist()) == {video_key("a")}
    left = sorted(path.name for path in tmp_path.rglob("*.html"))
    assert left == ["one-a.mp4.html", "two-mine.html"], "a report's index shows all videos; other pages are of others"
    assert rumiai("runs", "verify", "one")[1] == "sound\n"
    code, out, _ = rumiai("corpus", "forget", "runs/*", "--video", video_key("b"))
    assert code == Exit.COMPLETE
    assert "one: forgotten on 20" in out
    assert " UTC a video was forgotten: 1 entry, " in rumiai("runs", "show", "one")[1]


def test_a_dry_run_says_the_same_and_changes_nothing(rumiai: Call, runs: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    code, out, _ = rumiai("corpus", "forget", "one", "two", "--video", video_key("b")[:12], "--dry-run")
    assert code == Exit.COMPLETE
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    dry = [line for line in out.splitlines() if "would be forgotten" in line]
    assert len(dry) == 2
    _, out, _ = rumiai("corpus", "forget", "one", "two", "--video", video_key("b")[:12])
    assert [line for line in out.splitlines() if line.endswith(" forgotten")] == [line.replace("would be ", "") for line in dry]
    assert open_run(runs / "one").verify() == []


def test_stored_frames_go_with_the_rows(rumiai: Call, tmp_path: Path) -> None:
    clips = [
        make_clip(tmp_path / f"{name}.mp4", [0.0, 0.1, 0.2], numbers=numbers) for name, numbers in (("z", [0, 1, 2]), ("a", [3, 4, 5]))
    ]
    keys = [sha256_of(clip) for clip in clips]
    store = open_store(load_config())
    for clip, key in zip(clips, keys, strict=True):
        store.ensure(clip, key).close()
    writer = RunWriter.create(tmp_path / "runs", manifest("one"))
    for name, key in zip(("zoe", "ann"), keys, strict=True):
        rows = stamped("videos", [video_row(name, author=f"@{name}", frames_key=store.key_of(key))], name, "one")
        writer.add({"videos": rows.set_column(rows.schema.get_field_index("video_key"), rows.schema.field("video_key"), [[key]])})
    writer.commit(["zoe", "ann"])
    writer.finish("complete", {})
    code, out, _ = rumiai("corpus", "forget", "one", "--author", "Zoe")
    assert code == Exit.COMPLETE
    assert "stored frames removed: 1 entry" in out
    assert [entry.video_key for entry in store.entries()] == [keys[1]]


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "either --video or --author"),
        (("--video", "a", "--author", "b"), "either --video or --author"),
        (("--author", " "), "either --video or --author"),
        (("--video", "0" * 64), "no run has a video of this key"),
        (("--author", "nobody"), "no run has a video of this creator"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(rumiai: Call, arguments: tuple[str, ...], said: str) -> None:
    code, _, err = rumiai("corpus", "forget", "runs/*", *arguments)
    assert code == Exit.USAGE
    assert said in " ".join(err.split())
