"""Names, tags and notes of runs, `runs rm` and its retention rule, in this process, through `main`."""

from __future__ import annotations

import json
import os
import shutil
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from command_line import run_main
from made_corpus import Commit, Made, made_run
from rumiai_ray import open_run
from rumiai_ray.cli.exits import Exit
from rumiai_ray.errors import ConfigError, StorageError
from rumiai_ray.runs.find import find_run
from rumiai_ray.runs.labels import LABELS, Labels, given_labels, read_labels, write_labels
from rumiai_ray.runs.remove import age_of, remove_run
from rumiai_ray.runs.writer import RunWriter
from rumiai_ray.shown import terminal_safe
from synthetic_run import manifest, rewrite

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Call = Callable[..., tuple[int, str, str]]

BIDI = "\u202eremmus\x1b[31m\x00\ud800"


@pytest.fixture
def rumiai(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Calls the command line in a directory of its own, whose runs are in `runs`; gives exit code, stdout, stderr."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("RUMIAI_OUT", str(tmp_path / "runs"))
    monkeypatch.chdir(tmp_path)

    return lambda *arguments: run_main(arguments, monkeypatch, capsys)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    out = tmp_path / "runs"
    for run_id, age in (("20260101T000000Z-aaaaaa", 400), ("20260901T000000Z-bbbbbb", 100), ("20261101T000000Z-cccccc", 10)):
        run = made_run(out, run_id, [Commit(1, [Made("a.mp4", "a"), Made("x.mp4", "x", dead=True)])])
        for record in run.records:
            rewrite(run.store, record.model_copy(update={"written_at": datetime.now(UTC) - timedelta(days=age)}))
    return out


def ids(out: Path) -> list[str]:
    return sorted(path.name[-6:] for path in out.iterdir())


def test_a_run_is_named_tagged_and_annotated_and_nothing_of_its_results_changes(rumiai: Call, runs: Path) -> None:
    path = runs / "20260101T000000Z-aaaaaa"
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    code, out, _ = rumiai(
        "runs", "tag", path.name, "--name", "summer posts", "--tag", "q3", "--tag", "tiktok", "--tag", "q3", "--note", "ask\nZoe"
    )
    assert (code, out) == (Exit.COMPLETE, f"{path.name} summer posts #q3 #tiktok\n    ask\n    Zoe\n")
    assert {file: file.read_bytes() for file in before} == before
    assert open_run(path).verify() == []
    _, out, _ = rumiai("runs", "ls")
    assert "summer posts" in out
    assert "q3, tiktok" in out
    assert "2026-11-22" in out
    assert "1 +1 dead" in out
    assert max(map(len, out.splitlines())) <= 80
    rows = json.loads(rumiai("runs", "ls", "--json")[1])
    assert [rows[0][key] for key in ("name", "tags", "videos", "dead_letters")] == ["summer posts", ["q3", "tiktok"], 1, 1]
    assert "present; checksums, row counts and columns are correct." in rumiai("runs", "verify", "summer posts")[1]
    rumiai("runs", "tag", "summer posts", "--untag", "q3", "--note", "")
    assert read_labels(open_run(path).store) == Labels(name="summer posts", tags=("tiktok",))
    assert rumiai("runs", "tag", path.name, "--name", "")[1] == f"{path.name} #tiktok\n"


def test_a_name_means_a_run_where_the_beginning_of_an_id_does_and_ambiguity_lists_the_runs(rumiai: Call, runs: Path) -> None:
    first, second, third = sorted(path.name for path in runs.iterdir())
    rumiai("runs", "tag", first, "--name", "summer")
    rumiai("runs", "tag", second, "--name", "summer 2")
    rumiai("runs", "tag", third, "--name", "20260")
    assert find_run("summer", runs).run_id == first
    assert find_run("summer 2", runs).run_id == second
    for text, meant in (("summ", (first, second)), ("20260", (first, second, third)), ("2026", (first, second, third))):
        with pytest.raises(ConfigError, match=f"{len(meant)} runs match") as caught:
            find_run(text, runs)
        assert all(run_id in str(caught.value) for run_id in meant)
    code, _, err = rumiai("runs", "verify", "summ")
    assert code == Exit.USAGE
    assert f"{first} (summer), {second} (summer 2)" in " ".join(err.split())
    assert rumiai("corpus", "query", "summer", "SELECT count(*) AS n FROM videos", "--csv")[1] == "n\n1\n"


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize("name", ["a/b", "latest", "Latest", "runs*", "[1]", "..", "-x"])
def test_a_name_that_means_something_else_is_refused(rumiai: Call, name: str) -> None:
    code, _, err = rumiai("runs", "tag", "latest", f"--name={name}")
    assert code == Exit.USAGE
    assert "cannot name a run" in err


def test_one_name_is_not_given_to_two_runs(rumiai: Call, runs: Path) -> None:
    first, second, _ = sorted(path.name for path in runs.iterdir())
    assert rumiai("runs", "tag", first, second, "--tag", "both")[0] == Exit.COMPLETE
    code, _, err = rumiai("runs", "tag", first, second, "--name", "one")
    assert code == Exit.USAGE
    assert "one name for 2 runs" in err


def test_labels_of_a_stranger_s_run_do_not_speak_to_the_terminal(rumiai: Call, runs: Path) -> None:
    path = min(runs.iterdir())
    (path / LABELS).write_text(json.dumps({"name": BIDI, "tags": [BIDI, "a\nb"], "note": BIDI, "more": 1}))
    _, out, _ = rumiai("runs", "ls")
    assert not set(out) & set("\x1b\u202e\x00")
    assert read_labels(open_run(path).store).tags[1] == "a b"
    (path / LABELS).write_text("{")
    out = rumiai("runs", "ls")[1]
    assert "unreadable" in out
    assert "damaged" not in out
    assert "unreadable labels" in rumiai("runs", "verify", path.name)[1]
    assert "unreadable labels" in json.loads(rumiai("runs", "ls", "--json")[1])[0]["problem"]
    with pytest.raises(StorageError, match="unreadable labels"):
        read_labels(open_run(path).store)


def test_a_tag_can_be_given_to_a_run_whose_name_could_not(rumiai: Call, runs: Path) -> None:
    path = min(runs.iterdir())
    (path / LABELS).write_text(json.dumps({"name": "a/b"}))
    assert rumiai("runs", "tag", path.name, "--tag", "t")[:2] == (Exit.COMPLETE, f"{path.name} a/b #t\n")


def test_labels_do_not_make_the_directory_of_a_removed_run_again(runs: Path) -> None:
    run = open_run(min(runs.iterdir()))
    remove_run(run)
    with pytest.raises(ConfigError, match="was removed in the meantime"):
        write_labels(run.store, Labels(name="x"))
    assert ids(runs) == ["bbbbbb", "cccccc"]


def test_a_copy_of_a_run_is_told_from_its_original(rumiai: Call, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    run_id = min(runs.iterdir()).name
    shutil.copytree(runs / run_id, runs / "copy")
    assert f"{run_id} in copy" in rumiai("runs", "ls")[1]
    assert f"{run_id}, {run_id} in copy" in " ".join(rumiai("runs", "verify", "20260101")[2].split())
    assert f"removed: {run_id} in copy" in rumiai("runs", "rm", "copy", "--yes")[1]
    assert ids(runs) == ["aaaaaa", "bbbbbb", "cccccc"]


ANYTHING = st.text(alphabet=st.characters(), max_size=200)


@given(ANYTHING, st.lists(ANYTHING, max_size=5), ANYTHING)
def test_whatever_is_given_can_be_kept_and_comes_back_clean(name: str, tags: list[str], note: str) -> None:
    try:
        labels = given_labels(name, tags, note)
    except ConfigError as error:
        str(error).encode(errors="surrogatepass")
        return
    assert Labels.model_validate_json(labels.model_dump_json()) == labels
    for text in (labels.name, *labels.tags, labels.note):
        assert terminal_safe(text) == text
        text.encode()
    assert all(len(line.splitlines()) <= 1 for line in (labels.name, *labels.tags))


def test_labels_are_kept_on_s3_too(bucket: str) -> None:
    writer = RunWriter.create(f"{bucket}/runs", manifest())
    write_labels(writer.run, given_labels("summer", ["a"]))
    write_labels(writer.run, given_labels("winter", ["a"]))
    assert find_run("winter", f"{bucket}/runs").store.uri() == writer.run.uri()


@pytest.mark.parametrize("verb", [["analyze", "nosuch.mp4"], ["batch", "--manifest", "nosuch.csv"]])
def test_a_run_s_labels_are_looked_at_before_anything_slow(rumiai: Call, verb: list[str]) -> None:
    code, _, err = rumiai(*verb, "--name", "a/b")
    assert code == Exit.USAGE
    assert "cannot name a run" in err


def test_a_run_is_removed_whole_and_no_other(rumiai: Call, runs: Path) -> None:
    code, out, _ = rumiai("runs", "rm", "20260101", "--yes")
    assert code == Exit.COMPLETE
    assert "removed: 20260101T000000Z-aaaaaa" in out
    assert ids(runs) == ["bbbbbb", "cccccc"]


def test_a_removal_is_asked_for_or_said(rumiai: Call, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, _, err = rumiai("runs", "rm", "20260101")
    assert code == Exit.USAGE
    assert "--yes" in err
    answers = iter([False, True])
    monkeypatch.setattr("rumiai_ray.cli.run_list._confirmed", lambda _: next(answers))
    assert "nothing was removed" in rumiai("runs", "rm", "20260101")[1]
    assert len(ids(runs)) == 3
    rumiai("runs", "rm", "20260101")
    assert len(ids(runs)) == 2


def test_a_run_that_is_being_written_is_not_removed(rumiai: Call, runs: Path) -> None:
    writer = RunWriter.create(runs, manifest("now"))
    code, _, err = rumiai("runs", "rm", "now", "--yes")
    assert code == Exit.USAGE
    assert "another process is writing this run" in err
    _, _, err = rumiai("runs", "rm", "--older-than", "0h", "--yes")
    assert "kept: " in err
    assert ids(runs) == ["now"]
    writer.finish("complete", {})
    rumiai("runs", "rm", "now", "--yes")
    assert ids(runs) == []


def test_the_rule_removes_what_is_old_and_keeps_what_is_tagged_or_damaged(rumiai: Call, runs: Path) -> None:
    rumiai("runs", "tag", "20260101", "--tag", "keep me")
    damaged = runs / "20260901T000000Z-bbbbbb/commits/00000000.json"
    arguments = ["runs", "rm", "--older-than", "90d", "--keep-tag", "keep me"]
    code, out, err = rumiai(*arguments, "--dry-run")
    assert code == Exit.COMPLETE
    assert "20260901T000000Z-bbbbbb" in out
    assert "1 would be removed; nothing was" in out
    assert "kept for its tag: 20260101T000000Z-aaaaaa" in err
    assert len(ids(runs)) == 3
    whole = damaged.read_bytes()
    damaged.write_bytes(b"{}\n")
    code, out, err = rumiai(*arguments, "--yes")
    assert "its age or tags cannot be read: 20260901T000000Z-bbbbbb" in err
    assert "no run is old enough to remove" in out
    damaged.write_bytes(whole)
    assert rumiai(*arguments, "--yes")[0] == Exit.COMPLETE
    assert ids(runs) == ["aaaaaa", "cccccc"]
    assert rumiai("runs", "rm", "--older-than", "9w", "--yes")[0] == Exit.COMPLETE
    assert ids(runs) == ["cccccc"]


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "either RUN or --older-than"),
        (("latest", "--older-than", "1d"), "either RUN or --older-than"),
        (("latest", "--keep-tag", "x"), "belongs to --older-than"),
        (("--older-than", "90"), "not an age"),
        (("--older-than", "-1d"), "not an age"),
        (("nosuch", "--yes"), "no such run"),
    ],
)
def test_what_cannot_be_meant_removes_nothing(rumiai: Call, runs: Path, arguments: tuple[str, ...], said: str) -> None:
    code, _, err = rumiai("runs", "rm", *arguments)
    assert code == Exit.USAGE
    assert said in " ".join(err.split())
    assert len(ids(runs)) == 3


def test_ages_are_hours_days_or_weeks() -> None:
    assert [age_of(text) for text in ("12h", "90d", " 4 W ")] == [timedelta(hours=12), timedelta(days=90), timedelta(weeks=4)]


def test_a_removal_that_was_broken_off_is_finished_and_what_is_left_is_no_smaller_run(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = runs / "20260101T000000Z-aaaaaa"
    unlink, count = os.unlink, 0

    def fails(*arguments: object, **options: object) -> None:
        nonlocal count
        count += 1
        if count > 3:
            raise PermissionError(13, "Permission denied", "here")
        unlink(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "unlink", fails)
    with pytest.raises(StorageError, match="cannot remove the run"):
        remove_run(open_run(path))
    monkeypatch.undo()
    assert open_run(path).verify() != []
    remove_run(find_run(path.name, runs))
    assert not path.exists()


def test_a_link_to_a_run_is_not_followed(rumiai: Call, runs: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    real = runs / "20260101T000000Z-aaaaaa"
    real.rename(tmp_path / "elsewhere/real")
    real.symlink_to(tmp_path / "elsewhere/real")
    code, _, err = rumiai("runs", "rm", str(real), "--yes")
    assert code == Exit.USAGE
    assert "is a link to a run" in err
    assert open_run(tmp_path / "elsewhere/real").verify() == []


@pytest.mark.parametrize("said", ['{"name": "My app", "start_url": "."}', '[{"url": "a.mp4"}]', "", "[" * 200_000])
@pytest.mark.parametrize("options", [["--yes"], ["--dry-run"]])
def test_a_directory_whose_manifest_is_of_something_else_is_no_run_to_remove(
    rumiai: Call, runs: Path, said: str, options: list[str]
) -> None:
    (runs / "webapp/src").mkdir(parents=True)
    (runs / "webapp/manifest.json").write_text(said)
    (runs / "webapp/src/app.js").write_text("precious")
    code, _, err = rumiai("runs", "rm", "latest", "webapp", *options)
    assert code == Exit.USAGE
    assert "holds no run" in err
    assert (runs / "webapp/manifest.json").read_text() == said
    assert (runs / "webapp/src/app.js").read_text() == "precious"
    assert len(ids(runs)) == 4


def test_a_run_with_a_damaged_manifest_is_known_by_its_records(rumiai: Call, runs: Path) -> None:
    path = min(runs.iterdir())
    (path / "manifest.json").write_text("{")
    assert rumiai("runs", "rm", path.name, "--yes")[0] == Exit.COMPLETE
    assert not path.exists()


def test_what_no_run_has_stays_and_is_said(rumiai: Call, runs: Path, tmp_path: Path) -> None:
    path = min(runs.iterdir())
    (tmp_path / "other").mkdir()
    (tmp_path / "other/kept").write_text("x")
    (path / "notes").mkdir()
    mine = [path / "notes/mine.txt", path / "objects/clip.mp4", path / "clip.mp4", path / "elsewhere/kept"]
    (path / "elsewhere").symlink_to(tmp_path / "other")
    for file in mine:
        file.write_text("x")
    (path / "summary.json").unlink(missing_ok=True)
    (path / "summary.json").symlink_to(tmp_path / "other/kept")
    code, out, err = rumiai("runs", "rm", path.name, "--yes")
    assert code == Exit.COMPLETE
    assert f"removed: {path.name}" in out
    assert "since no run has it: clip.mp4, elsewhere, notes, objects" in " ".join(err.split())
    assert sorted(file for file in path.rglob("*") if file.is_file()) == sorted(mine[:3])
    assert mine[3].exists()


@pytest.mark.parametrize("text", ["mine/..", "..", "lnk/.."])
def test_a_run_is_removed_whole_by_whatever_path_it_is_named(rumiai: Call, runs: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    path = min(runs.iterdir())
    (path / "mine").mkdir()
    (path / "lnk").symlink_to(path / "mine")
    monkeypatch.chdir(path / "mine" if text == ".." else path)
    code, out, err = rumiai("runs", "rm", text, "--yes")
    assert (code, out.splitlines()[-1]) == (Exit.COMPLETE, f"removed: {path.name}")
    assert "lnk" in err  # and `mine`, which is empty, is not in the way
    assert [left.name for left in path.iterdir()] == ["lnk"]


def test_a_run_in_a_bucket_is_removed(bucket: str) -> None:
    writer = RunWriter.create(f"{bucket}/runs", manifest("gone"))
    writer.finish("complete", {})
    RunWriter.create(f"{bucket}/runs", manifest("gone-not"))
    remove_run(open_run(f"{bucket}/runs/gone"))
    assert open_run(f"{bucket}/runs/gone-not").run_id == "gone-not"
    with pytest.raises(ConfigError):
        open_run(f"{bucket}/runs/gone")
