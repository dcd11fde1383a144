"""`rumiai_ray.analyze` and `rumiai_ray.batch`: the verbs of the same names from Python. Both start Ray where none is, and end it again."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rumiai_ray.config import BaseConfig
    from rumiai_ray.runs.reader import Run


def analyze(
    inputs: Sequence[str | os.PathLike[str]], *, models: Sequence[str] | None = None, run_id: str | None = None, **settings: Any
) -> Run:
    """Analyse a few videos now, and return the run that was written.

    Example:
        >>> import rumiai_ray
        >>> run = rumiai_ray.analyze(["clip.mp4"], models=["yolo", "whisper"], whisper={"language": "en"})
        >>> run.status
        'complete'
        >>> run.table("words", ["start_s", "word"]).to_pylist()
        [{'start_s': 1.0, 'word': 'hello'}, {'start_s': 1.5, 'word': 'there'}]

    Args:
        inputs: paths, folders, URLs or fsspec URIs.
        models: model families; all of them where not given.
        run_id: name of the run; made up where not given.
        settings: any settings by their names in a TOML file: `out="runs"`, `profile="offline"`, `sampling={"fps": 2}`.

    Returns:
        The run. Its `status` says whether every video and model succeeded; an interrupted run is `aborted`.

    Raises:
        RumiaiError: an input or a setting is wrong, or the machine is not fit for the run; nothing was written.
    """
    from rumiai_ray.cli.analyze import analyze_inputs  # noqa: PLC0415 -- the package must be light to import
    from rumiai_ray.errors import ConfigError  # noqa: PLC0415

    if isinstance(inputs, str) or not inputs:
        raise ConfigError("is no list of inputs", f"inputs={inputs!r}", 'analyze(["clip.mp4"])')
    config, name = _config(models, settings), _name(run_id)
    analyze_inputs([os.fspath(one) for one in inputs], config, run_id=name, quiet=True)
    return _run(name, config)


def batch(
    manifest: str | os.PathLike[str],
    *,
    models: Sequence[str] | None = None,
    input_column: str | None = None,
    id_column: str | None = None,
    run_id: str | None = None,
    **settings: Any,
) -> Run:
    """Analyse every video of a manifest in one run, and return the run.

    Example:
        >>> import rumiai_ray
        >>> run = rumiai_ray.batch("videos.csv", models=["yolo", "ocr"], input_column="link")
        >>> run.query("SELECT label, count(*) AS frames FROM objects GROUP BY label").to_pylist()
        [{'label': 'person', 'frames': 50}]

    Args:
        manifest: CSV, TSV, JSON lines, Parquet or a text list: a path or an fsspec URI; or a folder.
        models: model families; all of them where not given.
        input_column: column with the path or URL; `input`, `path` or `url` where not given.
        id_column: column with the id; `id` where not given.
        run_id: name of the run; made up where not given.
        settings: any settings by their names in a TOML file, as for `analyze`.

    Returns:
        The run; an interrupted one is `incomplete`, and `rumiai-ray runs resume` goes on with it.

    Raises:
        RumiaiError: the manifest or a setting is wrong, or the machine is not fit for the run; no run was created.
    """
    from rumiai_ray.cli.batch import start  # noqa: PLC0415 -- the package must be light to import
    from rumiai_ray.errors import ConfigError  # noqa: PLC0415
    from rumiai_ray.ingest.entries import read_manifest  # noqa: PLC0415
    from rumiai_ray.ingest.table import EntryFile  # noqa: PLC0415

    if not isinstance(manifest, str | os.PathLike):
        raise ConfigError("a manifest is one path or URI", f"manifest={manifest!r}", "a few inputs go to rumiai_ray.analyze([…])")
    config, name = _config(models, settings), _name(run_id)
    start(EntryFile.of(read_manifest(os.fspath(manifest), input_column=input_column, id_column=id_column)), config, run_id=name)
    return _run(name, config)


def _config(models: Sequence[str] | None, settings: dict[str, Any]) -> BaseConfig:
    from rumiai_ray.config import load_config  # noqa: PLC0415
    from rumiai_ray.errors import ConfigError  # noqa: PLC0415

    if isinstance(models, str):
        raise ConfigError("is one text, not several names", f"models={models!r}", f"models=[{models!r}]")
    return load_config(flags=settings | ({} if models is None else {"models": tuple(models)}))


def _name(run_id: str | None) -> str:
    from rumiai_ray.runs.ids import new_run_id  # noqa: PLC0415

    return run_id or new_run_id(datetime.now(UTC))


def _run(name: str, config: BaseConfig) -> Run:
    from rumiai_ray.runs.find import find_run  # noqa: PLC0415

    return find_run(name, config.out)
