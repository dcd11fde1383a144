"""`rumiai-ray batch --manifest FILE`: thousands of videos in one run. Also what `jobs/batch.py` calls, and resume and retry."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from pydantic import BaseModel

from rumiai_ray.cli.exits import Exit  # noqa: TC001 -- typer reads the annotations
from rumiai_ray.cli.help_text import examples
from rumiai_ray.cli.options import RunId, RunLabel, RunNote, Tags, with_settings
from rumiai_ray.cli.terminal import counted, say
from rumiai_ray.config import BaseConfig  # noqa: TC001 -- typer reads the annotations

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rumiai_ray.engine.setup.resume import Remaining
    from rumiai_ray.engine.setup.run_setup import Prepared
    from rumiai_ray.ingest.table import EntryFile
    from rumiai_ray.runs.labels import Labels
    from rumiai_ray.runs.reader import Run
    from rumiai_ray.runs.writer import RunWriter

Manifest = Annotated[
    str,
    typer.Option(
        "--manifest",
        help="CSV, TSV, JSON, JSONL, Parquet or text list of videos: a path or an fsspec URI; or a folder.",
        show_default=False,
    ),
]
InputColumn = Annotated[
    str | None,
    typer.Option("--input-column", help="Manifest column with the path or URL; by default `input`, `path` or `url`.", show_default=False),
]
IdColumn = Annotated[str | None, typer.Option("--id-column", help="Manifest column with the id; by default `id`.", show_default=False)]
EXAMPLES = examples(
    "rumiai-ray batch --manifest posts.csv --input-column url",
    "rumiai-ray batch --manifest s3://bucket/posts.parquet --out s3://bucket/runs",
    "rumiai-ray batch --manifest clips/ --models whisper --run-id speech",
)


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("batch", epilog=EXAMPLES)(with_settings()(batch))


def batch(  # noqa: PLR0913, PLR0917 -- an option each
    manifest: Manifest,
    config: BaseConfig,
    input_column: InputColumn = None,
    id_column: IdColumn = None,
    run_id: RunId = None,
    name: RunLabel = None,
    tag: Tags = None,
    note: RunNote = None,
) -> None:
    """Analyse every video of a manifest in one run."""
    say("reading the manifest", err=True)
    from rumiai_ray.ingest.entries import read_manifest  # noqa: PLC0415 -- `--help` must not wait for pyarrow
    from rumiai_ray.ingest.table import EntryFile  # noqa: PLC0415
    from rumiai_ray.runs.labels import given_labels  # noqa: PLC0415

    labels = given_labels(name, tag or (), note)
    entries = EntryFile.of(read_manifest(manifest, input_column=input_column, id_column=id_column))
    raise typer.Exit(start(entries, config, run_id=run_id, labels=labels))


def start(entries: EntryFile, config: BaseConfig, *, run_id: str | None = None, labels: Labels | None = None) -> Exit:
    """A new run over `entries`.

    Raises:
        RumiaiError: usage, preflight, or no Ray; no run was created.
    """
    from rumiai_ray.cli.endings import noise_to_stderr  # noqa: PLC0415
    from rumiai_ray.engine.setup.resume import Remaining  # noqa: PLC0415
    from rumiai_ray.runs.labels import write_labels  # noqa: PLC0415

    with noise_to_stderr():
        prepared = _prepare(config, entries, run_id)
        prepared.check_free()

        def create() -> tuple[RunWriter, Remaining]:
            writer = prepared.create_run()
            if labels:
                write_labels(writer.run, labels)
            return writer, Remaining(entries, len(entries))

        return _run(prepared, create)


def resume(run: Run, config: BaseConfig) -> Exit:
    """Do what a run's records do not have yet, under the fingerprint it was started with.

    Raises:
        ConfigError: the run was started with something else; shows what.
        StorageError: the run is damaged.
    """
    from rumiai_ray.cli.endings import noise_to_stderr  # noqa: PLC0415
    from rumiai_ray.engine.setup.resume import given_entries, of_resumed  # noqa: PLC0415
    from rumiai_ray.runs.writer import check_resumable  # noqa: PLC0415

    # The run goes on where it lies, whatever is given now.
    config = config_of_run(run, config).model_copy(update={"out": _beside(run)})
    with noise_to_stderr():
        prepared = _prepare(config, given_entries(run), run.run_id, _backends(run))
        check_resumable(run, prepared.manifest)

        def take_over() -> tuple[RunWriter, Remaining]:
            # What is left and the number of the next record must be of one reading: a writer that has committed since holds that number.
            now = run.again()
            return prepared.resume_run(now), of_resumed(now)

        return _run(prepared, take_over)


def retry(run: Run, config: BaseConfig) -> Exit:
    """A new run of a run's dead letters and of its videos with a failed model, all models fresh.

    Raises:
        ConfigError: there is nothing to retry.
    """
    from rumiai_ray.engine.setup.resume import to_retry  # noqa: PLC0415

    return start(to_retry(run), config_of_run(run, config))


def config_of_run(run: Run, config: BaseConfig) -> BaseConfig:
    """The settings given now, with the run's *result* settings where none was given; `out` is where the run lies.

    A run's directory may be a stranger's. Result settings say what is computed. Execution settings say what is reached on the way (private
    hosts, a shared store, cookies, directories), and are never taken from a run, nor are result settings that name a file which runs code
    as it is loaded (`names_code`); those that differ are named on stderr.

    Raises:
        ConfigError: the run has a result setting with a value that is not allowed.
    """
    from rumiai_ray.config import flat_settings, load_config  # noqa: PLC0415

    values = {name: getattr(config, name) for name in config.model_fields_set}
    groups = {name: given for name, given in values.items() if isinstance(given, BaseModel)}
    values |= {name: given.model_dump(include=given.model_fields_set) for name, given in groups.items()}
    left: list[str] = []
    for path, info in flat_settings():
        held, now = _value_at(run.manifest.config, path), _value_at(config.model_dump(mode="json"), path)
        if held is None or path == ("out",):
            continue
        if info.json_schema_extra.get("names_code") or info.json_schema_extra["effect"] == "execution":
            left += [".".join(path)] if held != now else []
        elif _value_at(values, path) is None:
            _put(values, path, held)
    if left:
        say(f"not taken from the run; pass them again if you want them: {', '.join(left)}", err=True)
    return load_config(flags={"out": _beside(run)} | values)


def _value_at(values: object, path: Sequence[str]) -> Any:
    for name in path:
        values = values.get(name) if isinstance(values, dict) else None
    return values


def _put(values: dict[str, Any], path: Sequence[str], value: Any) -> None:
    for name in path[:-1]:
        values = values.setdefault(name, {})
    values[path[-1]] = value


def _beside(run: Run) -> str:
    """The directory of runs that holds `run`."""
    return run.store.uri().rpartition("/")[0]


def _backends(run: Run) -> dict[str, str]:
    """What ran each family: a run goes on with the same, whatever could be fetched by now."""
    return {model.name: model.backend for model in run.manifest.models}


def _prepare(config: BaseConfig, entries: EntryFile, run_id: str | None, kept: Mapping[str, str] | None = None) -> Prepared:
    say("checking this machine, the settings and the weights", err=True)
    from rumiai_ray.cli.doctor.verb import preflight  # noqa: PLC0415
    from rumiai_ray.cli.weights import choose_or_fetch  # noqa: PLC0415
    from rumiai_ray.engine.ray_session.session import check_address  # noqa: PLC0415
    from rumiai_ray.engine.setup.run_setup import prepare  # noqa: PLC0415

    check_address()
    preflight(config)
    return prepare(config, choose_or_fetch(config, kept=kept), entries, command=sys.argv, run_id=run_id)


def _run(prepared: Prepared, begin: Callable[[], tuple[RunWriter, Remaining]]) -> Exit:
    """Run what `begin` returns, which is called when Ray is there: a run that cannot start leaves nothing."""
    say("connecting to Ray" if os.environ.get("RAY_ADDRESS") else "starting Ray", err=True)
    from rumiai_ray.cli.batch_progress import BatchProgress  # noqa: PLC0415
    from rumiai_ray.cli.end_hook import EndHook  # noqa: PLC0415
    from rumiai_ray.cli.endings import run_to_the_end, scratch_directory  # noqa: PLC0415
    from rumiai_ray.engine.batch import BatchRun  # noqa: PLC0415
    from rumiai_ray.engine.ray_session.session import connected  # noqa: PLC0415
    from rumiai_ray.engine.results.summary import figures_of, speed_of_light, summary_of  # noqa: PLC0415
    from rumiai_ray.engine.setup.machines import cluster_of_now, cores_of_now, plan_of_ray  # noqa: PLC0415

    with scratch_directory() as workdir, connected(prepared.config) as here:
        plan = plan_of_ray(prepared.config, prepared.models)
        writer, left = begin()
        say(f"run {prepared.manifest.run_id}: {counted(left.count, 'entry', 'entries')}", err=True)
        progress = BatchProgress(prepared.models)
        engine = BatchRun(prepared.config, prepared.stage(workdir), writer, here, plan, progress)

        def work() -> Literal["complete", "partial"]:
            with progress:
                status = engine.run(left.entries, left.count, left.analysed)
            return "partial" if left.earlier.troubled else status

        def light() -> dict[str, Any] | None:
            return speed_of_light(engine.tally, prepared.models, plan.actors, cores_of_now(), progress.elapsed_s)

        code = run_to_the_end(
            engine,
            work,
            writer,
            summary=lambda: figures_of(
                {
                    "cluster": lambda: {"cluster": cluster_of_now().model_dump()},
                    "counts": lambda: summary_of(engine.tally, left.earlier, progress.elapsed_s),
                    "speed of light": lambda: {"speed_of_light": light()},
                }
            ),
            resumable=True,
            drain_s=prepared.config.engine.drain_s,
            on_end=EndHook.of(prepared.config),
        )
        if code:
            here.keep_logs()
        return code
