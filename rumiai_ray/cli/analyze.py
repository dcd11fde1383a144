"""`rumiai-ray analyze INPUT…` (the default verb): a few videos through all models, now."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rumiai_ray.cli.help_text import examples
from rumiai_ray.cli.options import RunId, RunLabel, RunNote, Tags, with_settings
from rumiai_ray.cli.terminal import say
from rumiai_ray.config import BaseConfig  # noqa: TC001 -- typer reads the annotations

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Future

    from rumiai_ray.cli.exits import Exit
    from rumiai_ray.models.base import ModelPlan
    from rumiai_ray.runs.labels import Labels

Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT...",
        help="Paths, folders, http(s) URLs or fsspec URIs; put `--` before a name that begins with a dash.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Write one JSON document to stdout, and everything else to stderr.")]
EXAMPLES = examples(
    "rumiai-ray clip.mp4",
    "rumiai-ray https://example.org/post.mp4 --models yolo,ocr",
    "rumiai-ray 'posts/*.mp4' --sampling-fps 2 --out s3://bucket/runs",
)


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("analyze", epilog=EXAMPLES)(with_settings()(analyze))


def analyze(
    inputs: Inputs,
    config: BaseConfig,
    run_id: RunId = None,
    name: RunLabel = None,
    tag: Tags = None,
    note: RunNote = None,
    json: AsJson = False,  # noqa: FBT002 -- typer's way
) -> None:
    """Analyse videos with all models and write a fresh run."""
    _spare_pandas()
    from rumiai_ray.runs.labels import given_labels  # noqa: PLC0415 -- `--help` must not wait for pydantic and pyarrow

    labels = given_labels(name, tag or (), note)
    raise typer.Exit(analyze_inputs(inputs, config, run_id=run_id, as_json=json, labels=labels))


def analyze_inputs(
    inputs: list[str],
    config: BaseConfig,
    *,
    run_id: str | None = None,
    as_json: bool = False,
    quiet: bool = False,
    labels: Labels | None = None,
) -> Exit:
    """The verb without typer: prepares, runs, prints unless `quiet`; returns the exit code.

    Raises:
        RumiaiError: usage or preflight; nothing was started and nothing was written.
    """
    from rumiai_ray.cli.doctor.verb import preflight  # noqa: PLC0415
    from rumiai_ray.cli.warm_choice import kept_by_warm_cell  # noqa: PLC0415
    from rumiai_ray.cli.wrong_usage import check_no_list  # noqa: PLC0415
    from rumiai_ray.ingest.entries import entries_from_inputs  # noqa: PLC0415

    check_no_list(inputs)
    entries = entries_from_inputs(inputs)
    early = ThreadPoolExecutor(2)
    # Hashing needs no Python, and the preflight waits for a process of its own: both go on while Ray is imported.
    # On a cluster the choice asks Ray, which wants the main thread.
    kept = kept_by_warm_cell(config) if config.profile == "auto" else {}
    chosen = None if os.environ.get("RAY_ADDRESS") else early.submit(_choose, config, kept)
    fit = early.submit(preflight, config)

    from rumiai_ray.cli.end_hook import EndHook  # noqa: PLC0415
    from rumiai_ray.cli.endings import noise_to_stderr, run_to_the_end, scratch_directory  # noqa: PLC0415
    from rumiai_ray.cli.progress import progress_to_stderr  # noqa: PLC0415 -- `--help` must not wait for rich and Ray
    from rumiai_ray.cli.summary import print_json, print_tables  # noqa: PLC0415
    from rumiai_ray.engine.interactive import Interactive  # noqa: PLC0415
    from rumiai_ray.engine.ray_session.session import check_address  # noqa: PLC0415
    from rumiai_ray.engine.ray_session.warm_connection import connect_early  # noqa: PLC0415
    from rumiai_ray.engine.setup.run_setup import prepare  # noqa: PLC0415
    from rumiai_ray.ingest.table import EntryFile  # noqa: PLC0415
    from rumiai_ray.runs.labels import write_labels  # noqa: PLC0415
    from rumiai_ray.runs.reader import open_run  # noqa: PLC0415

    with noise_to_stderr() as stdout, contextlib.ExitStack() as held, ThreadPoolExecutor(1) as aside:
        check_address()
        fit.result()
        threading.Thread(target=_import_what_comes_later, name="imports", daemon=True).start()
        models = _models(chosen, config, kept)
        connect_early()
        prepared = prepare(config, models, EntryFile.of(entries), command=sys.argv, run_id=run_id)
        with progress_to_stderr(prepared.models) as reporter, scratch_directory() as workdir:
            writer = prepared.create_run()
            if labels:
                write_labels(writer.run, labels)
            engine = Interactive(prepared.config, prepared.stage(workdir), writer, reporter)
            exit_code = run_to_the_end(
                engine, lambda: engine.run(entries, held=held), writer, summary=lambda: engine.figures, on_end=EndHook.of(config)
            )
        if exit_code:
            engine.keep_logs()
        # Ending a Ray of our own takes a second: what was found can be shown meanwhile.
        left = aside.submit(held.pop_all().close)
        run = open_run(writer.run.uri())
        if as_json:
            print_json(run, stdout)
        elif not quiet:
            print_tables(run, stdout)
        _await(left)
    return exit_code


def _await(left: Future[None]) -> None:
    """Wait until Ray is ended or left. The run is done and told: what goes wrong now is no failure of it, and Ctrl-C aborts nothing."""
    try:
        left.result()
    except KeyboardInterrupt:
        say("the run is done; shutting Ray down", err=True)
    except Exception as error:  # noqa: BLE001 -- see above
        say(f"warning: Ray did not shut down cleanly: {type(error).__name__}: {error}", err=True)


def _choose(config: BaseConfig, kept: Mapping[str, str]) -> tuple[ModelPlan, ...]:
    """What will run, where nothing has to be fetched or asked for that.

    Raises:
        MissingWeightsError: something has.
    """
    from rumiai_ray.cli.consent import may_ask  # noqa: PLC0415
    from rumiai_ray.cli.weights import barred_here  # noqa: PLC0415
    from rumiai_ray.engine.setup.model_choice import choose_models, survey_of  # noqa: PLC0415

    survey = survey_of(config, kept=kept, barred=barred_here(config)) if config.profile == "auto" else None
    return choose_models(config, survey, may_ask=may_ask())


def _models(chosen: Future[tuple[ModelPlan, ...]] | None, config: BaseConfig, kept: Mapping[str, str]) -> tuple[ModelPlan, ...]:
    """What will run, after fetching weights that are missing and can be had from here; `chosen` is what could be said without."""
    from rumiai_ray.cli.consent import may_ask  # noqa: PLC0415
    from rumiai_ray.cli.weights import choose_or_fetch  # noqa: PLC0415
    from rumiai_ray.models.weights.choice import MissingWeightsError  # noqa: PLC0415

    if chosen is not None:
        with contextlib.suppress(MissingWeightsError):
            return chosen.result()
    return choose_or_fetch(config, kept=kept, asking=may_ask())


def _import_what_comes_later() -> None:
    """Import what Ray and pyarrow import at their first use, while weights are still being hashed."""
    for name in ("pydantic.v1", "pyarrow.dataset"):
        import_module(name)


class _NoPandas:
    """An import finder that knows of one package that it is not there."""

    @staticmethod
    def find_spec(name: str, *_: object) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(name)


def _spare_pandas() -> None:
    """Keep pyarrow from importing pandas, which takes 0.3 s and which nothing of this verb needs.

    It looks for pandas when it converts its first list, and remembers whether it found it.
    """
    if "pandas" in sys.modules:
        return
    import pyarrow as pa  # noqa: PLC0415

    finder: Any = _NoPandas()
    sys.meta_path.insert(0, finder)
    try:
        pa.array([0])
    finally:
        sys.meta_path.remove(finder)
