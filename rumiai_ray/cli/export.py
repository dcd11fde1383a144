"""`rumiai-ray export RUN`: a run's rows for other programs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from rumiai_ray.cli.older import say_absent
from rumiai_ray.cli.options import CsvRaw, with_settings
from rumiai_ray.cli.runs import RunName
from rumiai_ray.cli.terminal import say
from rumiai_ray.config import BaseConfig


class ExportFormat(StrEnum):
    """What is written."""

    CSV = "csv"
    PARQUET = "parquet"
    JSON = "json"
    FEATURE_CSV = "feature-csv"


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("export")(export)


@with_settings("out", "shared")
def export(
    run: RunName,
    config: BaseConfig,
    kind: Annotated[
        ExportFormat,
        typer.Option(
            "--format",
            help="csv and parquet: one file a table; json: the five documents per video that earlier tools read; "
            "feature-csv: one wide row per video, for training models.",
        ),
    ] = ExportFormat.CSV,
    csv_raw: CsvRaw = False,  # noqa: FBT002 -- typer's way
    to: Annotated[
        Path | None,
        typer.Option(
            "--to",
            help="New directory, or new file for feature-csv; where not given, one here named after run and format.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write a run's committed rows as files. Nothing is written over."""
    from rumiai_ray.runs.export.document import export_json  # noqa: PLC0415 -- pyarrow's import is not for `--help`
    from rumiai_ray.runs.export.tables import export_features, export_tables  # noqa: PLC0415
    from rumiai_ray.runs.find import find_run  # noqa: PLC0415

    found = find_run(run, config.out)
    if kind is ExportFormat.FEATURE_CSV:
        path = to or Path(f"{found.run_id}-features.csv")
        with found.read_with_todays_columns() as read:
            missing = export_features(read, path, raw=csv_raw)
        for table in missing:
            say(f"{table}: not computed in this run, so its columns are missing", err=True)
        say(f"written to {path}", err=True)
        return
    directory = to or Path(f"{found.run_id}-{kind.value}")
    if kind is ExportFormat.JSON:
        with found.read_with_todays_columns() as read:
            written = export_json(read, directory)
    else:
        say_absent(found)
        written = export_tables(found, directory, "csv" if kind is ExportFormat.CSV else "parquet", raw=csv_raw)
    say(f"{len(written)} files under {directory}", err=True)
