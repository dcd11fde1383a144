"""`rumiai-ray export RUN`: a run's rows for other programs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rumiai_ray.cli.older import say_absent
from rumiai_ray.cli.options import CsvRaw, with_settings
from rumiai_ray.cli.runs import RunName
from rumiai_ray.cli.terminal import counted, say
from rumiai_ray.config import BaseConfig

if TYPE_CHECKING:
    from rumiai_ray.runs.export.labelling import LabellingFormat
    from rumiai_ray.runs.export.subtitles import SubtitleFormat
    from rumiai_ray.runs.export.tables import TableFormat
    from rumiai_ray.runs.reader import Run


class ExportFormat(StrEnum):
    """What is written."""

    CSV = "csv"
    PARQUET = "parquet"
    JSON = "json"
    FEATURE_CSV = "feature-csv"
    SRT = "srt"
    VTT = "vtt"
    COCO = "coco"
    FIFTYONE = "fiftyone"
    LABELSTUDIO = "labelstudio"


_LABELLING: dict[ExportFormat, LabellingFormat] = {
    ExportFormat.COCO: "coco",
    ExportFormat.FIFTYONE: "fiftyone",
    ExportFormat.LABELSTUDIO: "labelstudio",
}
OnlyTables = Annotated[
    str | None, typer.Option("--tables", metavar="A,B", help="With csv and parquet: export only these tables.", show_default=False)
]
Landmarks = Annotated[
    bool,
    typer.Option(
        "--landmarks/--no-landmarks",
        help="With csv and parquet: include columns with many numbers per row: landmarks, blendshapes, polygons, embeddings.",
    ),
]


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("export")(export)


def check_of_tables(tables: str | None, *, landmarks: bool) -> None:
    """Refuse the options of the formats that have one file per table, with a format that does not."""
    if tables is not None or not landmarks:
        raise typer.BadParameter("--tables and --no-landmarks need --format csv or parquet")


def table_names(tables: str | None) -> list[str] | None:
    """The names in `--tables`; None where all tables are wanted."""
    return None if tables is None else [name.strip() for name in tables.split(",")]


@with_settings("out", "store", "shared")
def export(  # noqa: PLR0913, PLR0917 -- an option each
    run: RunName,
    config: BaseConfig,
    kind: Annotated[
        ExportFormat,
        typer.Option(
            "--format",
            help="csv and parquet: one file per table; json: the five documents per video that earlier tools read; "
            "feature-csv: one wide row per video, for training models; srt and vtt: the transcript as subtitles; "
            "coco, fiftyone and labelstudio: detected objects with the sampled frames, for labelling tools.",
        ),
    ] = ExportFormat.CSV,
    tables: OnlyTables = None,
    landmarks: Landmarks = True,  # noqa: FBT002 -- typer's way
    pictures: Annotated[  # noqa: FBT002
        bool,
        typer.Option("--pictures/--no-pictures", help="With coco, fiftyone and labelstudio: include the sampled frames from the store."),
    ] = True,
    csv_raw: CsvRaw = False,  # noqa: FBT002
    to: Annotated[
        Path | None,
        typer.Option(
            "--to",
            help="Directory to create, or file with feature-csv; by default, one named after the run and format.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write a run's committed rows to files. Existing files are never overwritten."""
    from rumiai_ray.runs.export.tables import export_features, export_tables  # noqa: PLC0415 -- pyarrow's import is not for `--help`
    from rumiai_ray.runs.find import find_run  # noqa: PLC0415

    if kind not in {ExportFormat.CSV, ExportFormat.PARQUET}:
        check_of_tables(tables, landmarks=landmarks)
    if kind not in _LABELLING and not pictures:
        raise typer.BadParameter("--no-pictures needs --format coco, fiftyone or labelstudio")
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
    match kind:
        case ExportFormat.CSV | ExportFormat.PARQUET:
            say_absent(found)
            form: TableFormat = "csv" if kind is ExportFormat.CSV else "parquet"
            written = export_tables(found, directory, form, names=table_names(tables), landmarks=landmarks, raw=csv_raw)
            say(f"{counted(len(written), 'file')} under {directory}", err=True)
        case ExportFormat.JSON:
            from rumiai_ray.runs.export.document import export_json  # noqa: PLC0415

            with found.read_with_todays_columns() as read:
                written = export_json(read, directory)
            say(f"{counted(len(written), 'file')} under {directory}", err=True)
        case ExportFormat.SRT | ExportFormat.VTT:
            with found.read_with_todays_columns() as read:
                _subtitles(read, directory, "srt" if kind is ExportFormat.SRT else "vtt")
        case ExportFormat.COCO | ExportFormat.FIFTYONE | ExportFormat.LABELSTUDIO:
            with found.read_with_todays_columns() as read:
                _labelling(read, directory, _LABELLING[kind], config if pictures else None)


def _subtitles(run: Run, directory: Path, kind: SubtitleFormat) -> None:
    from rumiai_ray.runs.export.subtitles import export_subtitles  # noqa: PLC0415 -- pyarrow's import is not for `--help`

    written, without = export_subtitles(run, directory, kind)
    for reason, count in sorted(without.items()):
        say(f"no subtitles for {counted(count, 'entry', 'entries')}: {reason}", err=True)
    say(f"{counted(len(written), 'file')} under {directory}", err=True)


def _labelling(run: Run, directory: Path, kind: LabellingFormat, config: BaseConfig | None) -> None:
    """Write detections, with the pictures of the frame store that `config` names."""
    from rumiai_ray.runs.export.labelling import export_labelling  # noqa: PLC0415 -- pyarrow's import is not for `--help`

    store = None
    if config is not None:
        from rumiai_ray.engine.setup.run_setup import open_store  # noqa: PLC0415 -- brings Ray along

        store = open_store(config.model_copy(update={"store_remote": None}))
    done = export_labelling(run, directory, kind, store)
    if done.unseen:
        left_out = counted(done.unseen, "video is", "videos are")
        say(f"{left_out} left out: the object detector gave no answer for {'it' if done.unseen == 1 else 'them'}", err=True)
    if done.outside:
        say(f"{counted(done.outside, 'detection')} outside the picture left out", err=True)
    if store is not None and done.pictures < done.frames:
        missing = done.frames - done.pictures
        say(f"{missing} of {counted(done.frames, 'picture')} left out: not in the frame store {store.root} any more", err=True)
    boxes, frames, videos = counted(done.boxes, "detection"), counted(done.frames, "frame"), counted(done.videos, "video")
    say(f"{boxes} in {frames} of {videos} under {directory}", err=True)
