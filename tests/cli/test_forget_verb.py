"""`corpus forget`, in this process, through `main`: rows, stored frames and pages go; what stays is said."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from command_line import run_main
from made_corpus import Commit, Made, made_run
from rumiai_ray import open_corpus, open_run
from rumiai_ray.cli.exits import Exit
from rumiai_ray.config import load_config
from rumiai_ray.engine.setup.run_setup import open_store
from rumiai_ray.frames.store.files import sha256_of
from rumiai_ray.report.write import pages_about, write_video
from rumiai_ray.runs import forget as forget_module
from rumiai_ray.runs.writer import RunWriter
from synthetic_clips import make_clip
from synthetic_run import manifest, stamped, video_key, video_row

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rumiai_ray.frames.store.store import FrameStore
    from rumiai_ray.frames.store.stored import StoredVideo
    from rumiai_ray.runs.reader import Run

    Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def rumiai(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Calls the command line in a directory of its own, whose runs are in `runs`; gives exit code, stdout, stderr."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("RUMIAI_OUT", str(tmp_path / "runs"))
    monkeypatch.setenv("RUMIAI_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)

    return lambda *arguments: run_main(arguments, monkeypatch, capsys)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two runs that share a video, each with pages where `rumiai-ray report` puts them."""
    out = tmp_path / "runs"
    made_run(out, "one", [Commit(1, [Made("a.mp4", "a", mark=1), Made("b.mp4", "b", mark=2)])])
    made_run(out, "two", [Commit(2, [Made("b.mp4", "b", mark=3), Made("x.mp4", "x", dead=True)])])
    for name in ("one-report/index.html", "one-report/videos/a.mp4.html", "one-b.mp4.html", "one-a.mp4.html", "two-mine.html"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"<footer>rumiai_ray 1.0 · run <code>{name[:3]}</code>")
    return out


def test_a_video_is_forgotten_in_all_runs_that_are_named(rumiai: Call, runs: Path, tmp_path: Path) -> None:
    code, out, err = rumiai("corpus", "forget", "runs/*", "--video", video_key("b"))
    assert code == Exit.COMPLETE
    assert "one: 1 entry and " in out
    assert "two: 1 entry and " in out
    assert "not reached: compacted corpora, exports" in err
    corpus = open_corpus([f"{runs}/*"])
    assert [run.verify() for run in corpus.runs] == [[], []]
    assert corpus.table("videos", ["video_key"])["video_key"].to_pylist() == [video_key("a")]
    assert set(corpus.table("objects")["video_key"].to_pylist()) == {video_key("a")}
    left = sorted(path.name for path in tmp_path.rglob("*.html"))
    assert left == ["one-a.mp4.html", "two-mine.html"], "a report's index shows all videos; other pages are of others"
    assert "present; checksums, row counts and columns are correct." in rumiai("runs", "verify", "one")[1]
    code, out, _ = rumiai("corpus", "forget", "runs/*", "--video", video_key("b"))
    assert code == Exit.COMPLETE
    assert "one: forgotten on 20" in out
    assert " UTC a video was forgotten: 1 entry, " in rumiai("runs", "show", "one")[1]


def test_somebodys_own_files_that_are_called_as_pages_of_a_strangers_run_stay(rumiai: Call, runs: Path, tmp_path: Path) -> None:
    for name in ("one-report/index.html", "one-report/videos/a.mp4.html", "one-b.mp4.html"):
        (tmp_path / name).write_text("<h1>Annual report</h1><footer>rumiai_ray 1.0 · run <code>another</code></footer>")
    assert rumiai("corpus", "forget", str(runs / "one"), "--video", video_key("b"))[0] == Exit.COMPLETE
    assert len([*tmp_path.rglob("*.html")]) == 5


def test_a_page_that_the_report_makes_is_known_for_one(runs: Path, tmp_path: Path) -> None:
    page = write_video(open_run(runs / "one"), "b.mp4", tmp_path / "made" / "one-b.mp4.html", None)
    assert pages_about("one", ["b.mp4"], page.parent) == [page]


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


@pytest.mark.parametrize("place", ["compacted", "elsewhere/compacted"])
def test_a_compacted_directory_that_keeps_forgotten_rows_is_named_until_it_is_made_anew(
    rumiai: Call, runs: Path, tmp_path: Path, place: str
) -> None:
    (tmp_path / place).parent.mkdir(exist_ok=True)
    assert rumiai("corpus", "compact", "runs/*", "--to", place)[0] == Exit.COMPLETE
    given = ["runs/*", *([place] if "/" in place else [])]  # beside the runs it is found
    code, _, err = rumiai("corpus", "forget", *given, "--video", video_key("a"), "--dry-run")
    assert code == Exit.COMPLETE
    assert f"{tmp_path / place} holds rows of one: once they are forgotten, delete this directory" in err, (
        "nothing of two is to be forgotten"
    )
    for _ in range(2):
        code, _, err = rumiai("corpus", "forget", *given, "--video", video_key("a"))
        assert code == Exit.TROUBLED
        assert f"{tmp_path / place} still holds forgotten rows of one: delete this directory, and compact the runs again" in err
    assert open_run(runs / "one").verify() == []
    shutil.rmtree(tmp_path / place)
    assert rumiai("corpus", "compact", "runs/*", "--to", place)[0] == Exit.COMPLETE
    code, _, err = rumiai("corpus", "forget", *given, "--video", video_key("a"))
    assert (code, "still holds" in err) == (Exit.COMPLETE, False)


@pytest.mark.usefixtures("runs")
def test_a_compacted_directory_alone_stands_for_its_runs_and_a_damaged_one_is_no_silence(rumiai: Call, tmp_path: Path) -> None:
    assert rumiai("corpus", "compact", "runs/*", "--to", "compacted")[0] == Exit.COMPLETE
    code, out, err = rumiai("corpus", "forget", "compacted", "--video", video_key("b"))
    assert code == Exit.TROUBLED
    assert "one: 1 entry and " in out
    assert "two: 1 entry and " in out
    assert "still holds forgotten rows of one, two" in err
    (tmp_path / "compacted/compacted.json").write_text("{}")
    code, _, err = rumiai("corpus", "forget", "runs/*", "--video", video_key("a"))
    assert (code, "cannot determine whether it holds forgotten rows" in err) == (Exit.TROUBLED, True)
    assert open_run(tmp_path / "runs/one").table("videos").num_rows == 0


def keep_frames(where: Path, name: str, numbers: list[int]) -> tuple[FrameStore, StoredVideo, str]:
    """Keeps a clip's frames; gives the store, the frames in use, and the video's key."""
    clip = make_clip(where / f"{name}.mp4", [0.0, 0.1, 0.2], numbers=numbers)
    store = open_store(load_config())
    return store, store.ensure(clip, key := sha256_of(clip)), key


def run_of(out: Path, run_id: str, videos: dict[str, tuple[str, str | None]]) -> Path:
    """A run that has ended, of videos by entry: key and author."""
    writer = RunWriter.create(out, manifest(run_id))
    for name, (key, author) in videos.items():
        rows = stamped("videos", [video_row(name, author=author)], name, run_id)
        writer.add({"videos": rows.set_column(rows.schema.get_field_index("video_key"), rows.schema.field("video_key"), [[key]])})
    writer.commit(list(videos))
    writer.finish("complete", {})
    return out / run_id


def test_stored_frames_go_with_the_rows(rumiai: Call, tmp_path: Path) -> None:
    store, used, zoe = keep_frames(tmp_path, "z", [0, 1, 2])
    used.close()
    _, used, ann = keep_frames(tmp_path, "a", [3, 4, 5])
    used.close()
    run_of(tmp_path / "runs", "one", {"zoe": (zoe, "@zoe"), "ann": (ann, "@ann")})
    assert "stored frames of 1 video in " in rumiai("corpus", "forget", "one", "--author", "Zoe", "--dry-run")[1]
    code, out, _ = rumiai("corpus", "forget", "one", "--author", "Zoe")
    assert code == Exit.COMPLETE
    assert "stored frames removed: 1 entry" in out
    assert [entry.video_key for entry in store.entries()] == [ann]


def test_frames_that_were_in_use_go_with_the_same_command_later(rumiai: Call, tmp_path: Path) -> None:
    store, used, key = keep_frames(tmp_path, "z", [0, 1, 2])
    run_of(tmp_path / "runs", "one", {"zoe": (key, "@zoe")})
    with used:
        code, _, err = rumiai("corpus", "forget", "one", "--author", "zoe")
    assert code == Exit.COMPLETE
    assert f"in use and stay: {key};" in err
    assert [entry.video_key for entry in store.entries()] == [key]
    assert rumiai("corpus", "forget", "one", "--author", "zoe")[0] == Exit.COMPLETE
    assert store.entries() == []


def test_a_whole_key_is_looked_for_in_the_frame_store_too(rumiai: Call, tmp_path: Path) -> None:
    store, used, key = keep_frames(tmp_path, "z", [0, 1, 2])
    used.close()
    run_of(tmp_path / "runs", "one", {"ann": (video_key("ann"), "ann")})
    code, out, _ = rumiai("corpus", "forget", "one", "--video", key)
    assert (code, "stored frames removed: 1 entry" in out) == (Exit.COMPLETE, True)
    assert store.entries() == []


def test_frames_of_a_video_that_another_creator_has_in_another_run_stay(rumiai: Call, tmp_path: Path) -> None:
    store, used, key = keep_frames(tmp_path, "z", [0, 1, 2])
    used.close()
    run_of(tmp_path / "runs", "one", {"zoe": (key, "@zoe")})
    run_of(tmp_path / "runs", "two", {"ann": (key, "@ann")})
    assert rumiai("corpus", "forget", "one", "two", "--author", "zoe")[0] == Exit.COMPLETE
    assert [entry.video_key for entry in store.entries()] == [key]


def test_an_interruption_between_two_runs_is_finished_by_the_same_command(
    rumiai: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = video_key("v")
    out = tmp_path / "runs"
    run_of(out, "one", {"v": (shared, "@zoe")})
    run_of(out, "two", {"v": (shared, None), "w": (video_key("w"), None)})
    take_out = forget_module.forget

    def interrupted(run: Run, doomed: forget_module.Doomed, selected: forget_module.Selected) -> object:
        if run.run_id == "two":
            raise KeyboardInterrupt
        return take_out(run, doomed, selected)

    with monkeypatch.context() as patched:
        patched.setattr(forget_module, "forget", interrupted)
        assert rumiai("corpus", "forget", "one", "two", "--author", "zoe")[0] != Exit.COMPLETE
    code, said, _ = rumiai("corpus", "forget", "one", "two", "--author", "zoe")
    assert code == Exit.COMPLETE
    assert "two: 1 entry and " in said
    assert open_run(out / "two").table("videos", ["entry_id"]).to_pylist() == [{"entry_id": "w"}]


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "exactly one of --video and --author"),
        (("--video", "a", "--author", "b"), "exactly one of --video and --author"),
        (("--author", " "), "exactly one of --video and --author"),
        (("--video", "0" * 64), "no run has a video of this key"),
        (("--author", "nobody"), "no run has a video of this creator"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(rumiai: Call, arguments: tuple[str, ...], said: str) -> None:
    code, _, err = rumiai("corpus", "forget", "runs/*", *arguments)
    assert code == Exit.USAGE
    assert said in " ".join(err.split())
