"""`rumiai-ray corpus …`: many runs as one set of tables. `review`, `compact` and `forget` are in modules of their own."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from rumiai_ray.cli.compact import compact
from rumiai_ray.cli.export import Landmarks, OnlyTables, check_of_tables, table_names
from rumiai_ray.cli.forget import forget
from rumiai_ray.cli.help_text import examples
from rumiai_ray.cli.older import say_absent_in
from rumiai_ray.cli.options import CsvRaw, RunNames, with_settings
from rumiai_ray.cli.query import AsCsv, ExternalAccess, RowsAsJson, Sql, answer, check_one_format
from rumiai_ray.cli.review import review
from rumiai_ray.cli.tables import listing
from rumiai_ray.cli.terminal import SafeConsole, counted, say
from rumiai_ray.config import BaseConfig
from rumiai_ray.shown import one_line, shown_input

if TYPE_CHECKING:
    from rumiai_ray.corpus.cohorts.compare import CohortComparison
    from rumiai_ray.corpus.cohorts.correlate import MetricCorrelations
    from rumiai_ray.corpus.cohorts.over_time import MetricOverTime
    from rumiai_ray.corpus.reader import Corpus

app = typer.Typer(
    help="Many runs as one set of tables: list, query, search, compare, report, export, review, compact, forget.", no_args_is_help=True
)
_LAST = "last commit (UTC)"
_COMPARISONS = (
    "rumiai-ray corpus compare 'runs/*' --by like_count --top 25%             the most liked quarter against the rest",
    "rumiai-ray corpus compare 'runs/*' --by 'like_count / view_count' --stratify duration --page likes.html",
    "rumiai-ray corpus compare 'runs/*' --where hook_has_captions             those with captions in the hook against the rest",
    "rumiai-ray corpus compare 'runs/*' --by view_count --over week           this week against last",
)
AllowMixed = Annotated[
    bool,
    typer.Option(
        "--allow-mixed", help="Also read runs whose models, weights, result settings or schema versions differ from the newest run's."
    ),
]


class StratifyBy(StrEnum):
    """Within fifths of what videos are compared."""

    DURATION = "duration"
    FOLLOWERS = "followers"
    POSTED_AT = "posted_at"


class OverPeriod(StrEnum):
    """Periods in which a metric is followed."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class CorpusFormat(StrEnum):
    """What is written."""

    CSV = "csv"
    PARQUET = "parquet"
    FEATURE_CSV = "feature-csv"


def add_to(parent: typer.Typer) -> None:
    """Register the verbs."""
    app.command("review", epilog=examples("rumiai-ray corpus review RUN project-1.json"))(review)
    app.command("compact", epilog=examples("rumiai-ray corpus compact 'runs/*' --to compacted"))(compact)
    app.command("forget")(forget)
    parent.add_typer(app, name="corpus")


def _opened(runs: list[str], config: BaseConfig, *, allow_mixed: bool) -> Corpus:
    from rumiai_ray.corpus.reader import open_corpus  # noqa: PLC0415 -- pyarrow's import is not for `--help`

    return open_corpus(runs, allow_mixed=allow_mixed, out=config.out)


@app.command("ls")
@with_settings("out")
def ls(
    runs: RunNames,
    config: BaseConfig,
    as_json: RowsAsJson = False,  # noqa: FBT002 -- typer's way
) -> None:
    """List the runs of a corpus, how much of each counts, and how each differs from the newest. Damaged runs come last."""
    from rumiai_ray.corpus.survey import survey  # noqa: PLC0415 -- pyarrow's import is not for `--help`

    rows = survey(runs, config.out)
    if as_json:
        answer(rows, as_csv=False, csv_raw=False, as_json=True)
        return
    console = SafeConsole()
    table = listing("run", "status", _LAST, "videos", "dead", "counted", "comparable", folds=(_LAST,))
    records = rows.to_pylist()
    for run in records:
        if run["problem"] is not None:
            table.add_row(one_line(run["run_id"]), Text(run["status"], "red"))
            continue
        counts = (str(run["committed"]), str(run["dead_lettered"]), str(run["counted"]))
        comparable = Text("no", "yellow") if run["differences"] else Text("yes")
        table.add_row(run["run_id"], run["status"], f"{run['last_commit_at']:%Y-%m-%d %H:%M}", *counts, comparable)
    console.print(table)
    for run in records:
        problems = [] if run["problem"] is None else [run["problem"]]
        for heading, listed in (("damaged", problems), ("not comparable", run["differences"]), ("also other", run["notes"])):
            for line in listed:
                console.print(Text.assemble((one_line(f"{run['run_id']}  {heading}: "), "bold"), one_line(line)), soft_wrap=True)


@app.command("query")
@with_settings("out")
def query(  # noqa: PLR0913, PLR0917 -- an option each
    runs: RunNames,
    sql: Sql,
    config: BaseConfig,
    allow_mixed: AllowMixed = False,  # noqa: FBT002 -- typer's way
    as_csv: AsCsv = False,  # noqa: FBT002
    csv_raw: CsvRaw = False,  # noqa: FBT002
    as_json: RowsAsJson = False,  # noqa: FBT002
    external_access: ExternalAccess = False,  # noqa: FBT002
) -> None:
    """Query the tables of many runs in SQL (DuckDB). The newest analysis of a video counts, and the newest entry of an input and content.

    Checksums are not checked here; `rumiai-ray runs verify` checks them.
    """
    check_one_format(as_csv=as_csv, as_json=as_json)
    corpus = _opened(runs, config, allow_mixed=allow_mixed)
    rows = corpus.query(sql, external_access=external_access)
    say_absent_in(corpus, sql)
    answer(rows, as_csv=as_csv, csv_raw=csv_raw, as_json=as_json)


@app.command("compare", epilog=examples(*_COMPARISONS))
@with_settings("out")
def compare(  # noqa: PLR0913, PLR0917 -- an option each
    runs: RunNames,
    config: BaseConfig,
    by: Annotated[
        str | None,
        typer.Option(
            "--by", metavar="SQL", help="The metric: a column of `summary`, or an expression over its columns.", show_default=False
        ),
    ] = None,
    top: Annotated[
        str | None,
        typer.Option(
            "--top", metavar="SHARE", help="The first cohort: 25% of the videos, or 50 of them. [default: 25%]", show_default=False
        ),
    ] = None,
    where: Annotated[
        str | None,
        typer.Option(
            "--where", metavar="SQL", help="Instead of --by: the first cohort is the videos that meet this condition.", show_default=False
        ),
    ] = None,
    stratify: Annotated[
        StratifyBy | None,
        typer.Option(help="Compare within fifths of this, to reduce its influence on the differences.", show_default=False),
    ] = None,
    correlate: Annotated[  # noqa: FBT002 -- typer's way
        bool, typer.Option("--correlate", help="Instead of cohorts: correlate each feature with the metric (Spearman).")
    ] = False,
    over: Annotated[
        OverPeriod | None,
        typer.Option(
            help="Instead of cohorts: follow the metric by posting date, and compare the newest period with the one before.",
            show_default=False,
        ),
    ] = None,
    cluster: Annotated[
        str, typer.Option(metavar="SQL", help="An expression over `summary` that is equal for near-duplicates, which then count once.")
    ] = "video_key",
    page: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also write the result as one HTML page to share.", show_default=False),
    ] = None,
    allow_mixed: AllowMixed = False,  # noqa: FBT002
    as_csv: AsCsv = False,  # noqa: FBT002
    csv_raw: CsvRaw = False,  # noqa: FBT002
    as_json: RowsAsJson = False,  # noqa: FBT002
) -> None:
    """Compare videos: what those with the highest metric, or those that meet a condition, have more or less of than the rest.

    Features are the numeric columns of `summary`. P values are corrected for their number. The result shows what goes together, not why.
    """
    from rumiai_ray.cli.corpus_compare import print_findings, print_warnings  # noqa: PLC0415 -- SciPy's import is not for `--help`
    from rumiai_ray.report.write import write_cohorts  # noqa: PLC0415

    check_one_format(as_csv=as_csv, as_json=as_json)
    if (by is None) == (where is None):
        raise typer.BadParameter("give either --by or --where")
    others = [name for name, given in (("--top", top), ("--stratify", stratify), ("--where", where)) if given is not None]
    if (correlate or over) and others:
        raise typer.BadParameter(f"{', '.join(others)}: cannot be used with --correlate or --over")
    if (correlate and over) or (where is not None and top is not None):
        raise typer.BadParameter("give either --correlate or --over" if over else "--top needs --by")
    corpus = _opened(runs, config, allow_mixed=allow_mixed)
    found: CohortComparison | MetricCorrelations | MetricOverTime
    if correlate or over:
        found = (
            corpus.correlate(by=str(by), cluster=cluster) if over is None else corpus.over_time(by=str(by), period=over, cluster=cluster)
        )
    else:
        found = corpus.compare(by=by, top=top or "25%", where=where, stratify=stratify, cluster=cluster)
    if page is not None:
        write_cohorts(found, [run.run_id for run in corpus.runs], page)
        say(f"open {page}", err=True)
    if as_csv or as_json:
        answer(found.table(), as_csv=as_csv, csv_raw=csv_raw, as_json=as_json)
        print_warnings(found)
    else:
        print_findings(found)


@app.command(
    "search", epilog=examples("rumiai-ray corpus search 'runs/*' 'dog runs'", "rumiai-ray corpus search 'runs/*' --raw 'dog* NOT cat'")
)
@with_settings("out")
def search(  # noqa: PLR0913, PLR0917 -- an option each
    runs: RunNames,
    words: Annotated[
        str,
        typer.Argument(
            metavar="WORDS", help="Words to look for, quoted if there are several; always the last argument.", show_default=False
        ),
    ],
    config: BaseConfig,
    allow_mixed: AllowMixed = False,  # noqa: FBT002 -- typer's way
    raw: Annotated[bool, typer.Option("--raw", help="Read WORDS as a query in SQLite's FTS5 syntax.")] = False,  # noqa: FBT002
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="Maximum number of places to show.")] = 20,
    as_csv: AsCsv = False,  # noqa: FBT002
    csv_raw: CsvRaw = False,  # noqa: FBT002
    as_json: RowsAsJson = False,  # noqa: FBT002
) -> None:
    """Find words in speech, on-screen text and object names. Places that match more of the words come first.

    The index is built for each call and not kept: rumiai-ray caches no model outputs.
    """
    from rumiai_ray.corpus.search import search as find  # noqa: PLC0415 -- pyarrow's import is not for `--help`

    check_one_format(as_csv=as_csv, as_json=as_json)
    found, total = find(_opened(runs, config, allow_mixed=allow_mixed), words, raw=raw, limit=limit)
    if as_csv or as_json:
        answer(found, as_csv=as_csv, csv_raw=csv_raw, as_json=as_json)
    elif found.num_rows:
        table = listing("video", "from", "to", "kind", "text", folds=("video", "text"))
        for row in found.to_pylist():
            name = one_line(shown_input(row["entry_id"] or row["video_key"]))
            table.add_row(name, f"{row['start_s']:.1f} s", f"{row['end_s']:.1f} s", row["kind"], one_line(row["text"]))
        SafeConsole().print(table)
    places = "1 place" if total == 1 else f"{total} places"
    say(f"{found.num_rows} of {places}; --limit {total} shows all" if found.num_rows < total else f"found in {places}", err=True)


@app.command("report", epilog=examples("rumiai-ray corpus report 'runs/*' --by view_count --title 'Spring campaign'"))
@with_settings("out")
def report(
    runs: RunNames,
    config: BaseConfig,
    by: Annotated[
        str | None,
        typer.Option(
            "--by",
            metavar="SQL",
            help="The metric: the highest videos are compared with the rest. [default: likes, views, comments or shares, as known]",
            show_default=False,
        ),
    ] = None,
    top: Annotated[str, typer.Option("--top", metavar="SHARE", help="The first cohort: 25% of the videos, or 50 of them.")] = "25%",
    title: Annotated[str, typer.Option("--title", help="Heading of the page.")] = "Corpus",
    allow_mixed: AllowMixed = False,  # noqa: FBT002 -- typer's way
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="File to create.")] = Path("corpus-report.html"),
) -> None:
    """Write one page about many runs: what they contain, what each model covers, and what the videos that did well have more of.

    The page names no file, address or creator, and loads nothing from the network.
    """
    from rumiai_ray.report.write import write_corpus  # noqa: PLC0415 -- SciPy's import is not for `--help`

    write_corpus(_opened(runs, config, allow_mixed=allow_mixed), to, title=title, by=by, top=top)
    say(f"open {to}", err=True)


@app.command("export")
@with_settings("out", "shared")
def export(  # noqa: PLR0913, PLR0917 -- an option each
    runs: RunNames,
    config: BaseConfig,
    allow_mixed: AllowMixed = False,  # noqa: FBT002 -- typer's way
    kind: Annotated[
        CorpusFormat,
        typer.Option("--format", help="csv and parquet: one file per table; feature-csv: one wide row per video, for training models."),
    ] = CorpusFormat.CSV,
    tables: OnlyTables = None,
    landmarks: Landmarks = True,  # noqa: FBT002
    csv_raw: CsvRaw = False,  # noqa: FBT002
    to: Annotated[
        Path | None,
        typer.Option(
            "--to", help="Directory to create, or file with feature-csv; by default, one named after the format.", show_default=False
        ),
    ] = None,
) -> None:
    """Write the rows that count, from many runs, to files. Existing files are never overwritten."""
    from rumiai_ray.runs.export.tables import TableFormat, export_features, export_tables  # noqa: PLC0415

    if kind is CorpusFormat.FEATURE_CSV:
        check_of_tables(tables, landmarks=landmarks)
    corpus = _opened(runs, config, allow_mixed=allow_mixed)
    if kind is CorpusFormat.FEATURE_CSV:
        path = to or Path("corpus-features.csv")
        for table in export_features(corpus, path, raw=csv_raw):
            say(f"{table}: not computed in these runs, so its columns are missing", err=True)
        say(f"written to {path}", err=True)
        return
    directory = to or Path(f"corpus-{kind.value}")
    form: TableFormat = "csv" if kind is CorpusFormat.CSV else "parquet"
    written = export_tables(corpus, directory, form, names=table_names(tables), landmarks=landmarks, raw=csv_raw)
    say(f"{counted(len(written), 'file')} under {directory}", err=True)
