"""`rumiai-ray runs …`: list, show, verify, export, compare; resume what was stopped, retry what failed; tag, remove."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from rumiai_ray.cli.exits import Exit
from rumiai_ray.cli.options import PrintJson, RunLabel, RunNote, Tags, with_settings
from rumiai_ray.cli.terminal import counted, say, say_json
from rumiai_ray.config import BaseConfig
from rumiai_ray.errors import ConfigError

app = typer.Typer(help="Runs: list, show, verify, compare, resume, retry, tag, remove.", no_args_is_help=True)

_RUN_HELP = "A run's id under --out, its name, the beginning of either, `latest`, or a path."
RunName = Annotated[str, typer.Argument(metavar="RUN", help=_RUN_HELP, show_default=False)]


def add_to(parent: typer.Typer) -> None:
    """Register the verbs."""
    parent.add_typer(app, name="runs")


@app.command("ls")
@with_settings("out")
def ls(
    config: BaseConfig,
    as_json: PrintJson = False,  # noqa: FBT002 -- typer's way
) -> None:
    """List the runs under --out, oldest first, each with its name or else the command that started it."""
    from rumiai_ray.cli.run_list import listed, print_runs  # noqa: PLC0415 -- pyarrow's import is not for `--help`
    from rumiai_ray.runs.find import list_runs  # noqa: PLC0415

    rows = [listed(run) for run in list_runs(config.out)]
    if as_json:
        say_json([asdict(row) for row in rows])
    else:
        print_runs(rows)


@app.command("tag")
@with_settings("out")
def tag(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help=_RUN_HELP, show_default=False)],
    config: BaseConfig,
    name: RunLabel = None,
    tags: Tags = None,
    untag: Annotated[list[str] | None, typer.Option("--untag", help="Tag to remove; can be repeated.", show_default=False)] = None,
    note: RunNote = None,
) -> None:
    """Name, tag or annotate runs, or show their names, tags and notes. An empty --name or --note removes it. Results are not touched."""
    from rumiai_ray.runs.find import find_run  # noqa: PLC0415
    from rumiai_ray.runs.labels import clean_line, given_labels, read_labels, write_labels  # noqa: PLC0415

    if name and len(runs) > 1:
        raise ConfigError(f"one name for {len(runs)} runs", repr(name), "give each run a name of its own, or all of them a --tag")
    wanted = given_labels(name, tags or (), note)
    gone = {clean_line(text) for text in untag or ()}
    for run in [find_run(one, config.out) for one in runs]:
        had = read_labels(run.store)
        tagged = given_labels(tags=[one for one in (*had.tags, *wanted.tags) if one not in gone])
        # What the run has of itself is kept as it is: a stranger's name need not be one that could be given here.
        kept = {"name": had.name if name is None else wanted.name, "note": had.note if note is None else wanted.note}
        labels = tagged.model_copy(update=kept)
        if labels != had:
            write_labels(run.store, labels)
        say(" ".join(filter(None, [run.run_id, labels.name, *(f"#{one}" for one in labels.tags)])))
        if labels.note:
            say("\n".join(f"    {line}" for line in labels.note.splitlines()))


@app.command("rm")
@with_settings("out")
def rm(
    config: BaseConfig,
    runs: Annotated[list[str] | None, typer.Argument(metavar="RUN...", help=_RUN_HELP, show_default=False)] = None,
    older_than: Annotated[
        str | None,
        typer.Option(
            "--older-than",
            metavar="AGE",
            help="Remove runs under --out that have not been written to for this long: 12h, 90d, 4w.",
            show_default=False,
        ),
    ] = None,
    keep_tag: Annotated[
        list[str] | None,
        typer.Option("--keep-tag", help="With --older-than: keep runs with this tag; can be repeated.", show_default=False),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,  # noqa: FBT002 -- typer's way
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be removed, and remove nothing.")] = False,  # noqa: FBT002
) -> None:
    """Permanently remove runs, by name or by age. A run that is being written is never removed; stored frames stay."""
    from rumiai_ray.cli.run_list import remove  # noqa: PLC0415

    remove(runs or [], older_than, keep_tag or [], config.out, yes=yes, dry_run=dry_run)


@app.command("show")
@with_settings("out")
def show(
    run: RunName,
    config: BaseConfig,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,  # noqa: FBT002 -- typer's way
    failures: Annotated[  # noqa: FBT002 -- typer's way
        bool,
        typer.Option("--failures", help="Print every failure in the run's log with its traceback, including attempts that were retried."),
    ] = False,
    export_json: Annotated[
        Path | None,
        typer.Option(
            "--export-json", metavar="DIR", help="Write the five JSON documents per video that earlier tools read.", show_default=False
        ),
    ] = None,
) -> None:
    """Show how every video and model of a run ended."""
    from rumiai_ray.cli.summary import print_json, print_tables  # noqa: PLC0415
    from rumiai_ray.runs.export.document import export_json as export  # noqa: PLC0415
    from rumiai_ray.runs.find import find_run  # noqa: PLC0415

    found = find_run(run, config.out)
    if failures:
        from rumiai_ray.cli.failures import print_failures  # noqa: PLC0415

        print_failures(found, as_json=json)
    elif json or export_json is None:
        with found.read_with_todays_columns() as read:
            (print_json if json else print_tables)(read)
    if export_json is not None:
        with found.read_with_todays_columns() as read:
            written = export(read, export_json)
        say(f"{counted(len(written), 'document')} under {export_json}", err=True)


@app.command("why")
@with_settings("out")
def why(
    run: RunName,
    entry: Annotated[
        str, typer.Argument(metavar="ENTRY", help="The entry's id, path or address, or its line in the manifest.", show_default=False)
    ],
    config: BaseConfig,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,  # noqa: FBT002 -- typer's way
) -> None:
    """Show what happened to one entry and how it ended: attempts, nodes, times, errors, cost."""
    from rumiai_ray.cli.why import find_entries, print_json, print_why, tell_of  # noqa: PLC0415
    from rumiai_ray.engine.setup.resume import given_entries  # noqa: PLC0415
    from rumiai_ray.runs.find import find_run  # noqa: PLC0415

    found = find_run(run, config.out)
    told = [tell_of(found, one) for one in find_entries(given_entries(found), entry, f"run {found.run_id}")]
    if json:
        print_json(found, told)
        return
    for one in told:
        print_why(found, one)


@app.command("top")
@with_settings("out")
def top(
    run: RunName,
    config: BaseConfig,
    once: Annotated[bool, typer.Option("--once", help="Print one snapshot and exit.")] = False,  # noqa: FBT002 -- typer's way
) -> None:
    """Show what every cell of a running batch is doing; only the run's directory is read. Exit code 1 if it is not running."""
    from rumiai_ray.cli.top import top as show_top  # noqa: PLC0415
    from rumiai_ray.runs.find import find_run  # noqa: PLC0415

    raise typer.Exit(show_top(find_run(run, config.out), once=once))


@app.command("verify")
@with_settings("out")
def verify(run: RunName, config: BaseConfig) -> None:
    """Check every committed file of a run: presence, checksum, row count, schema. Exit code 1 if anything is wrong."""
    from rumiai_ray.runs.find import find_run  # noqa: PLC0415

    found = find_run(run, config.out)
    problems = found.verify()
    for problem in problems:
        say(problem)
    if problems:
        raise typer.Exit(Exit.TROUBLED)
    files = sum(len(record.files) for record in found.records)
    present = f"{counted(files, 'committed file')} {'is' if files == 1 else 'are'} present; checksums, row counts and columns are correct."
    say(present if files else "nothing is committed")


@app.command("diff")
@with_settings("out")
def diff(
    before: Annotated[str, typer.Argument(metavar="A", help=_RUN_HELP, show_default=False)],
    after: Annotated[str, typer.Argument(metavar="B", help="The run to compare it with.", show_default=False)],
    config: BaseConfig,
    tolerance: Annotated[
        float, typer.Option(min=0.0, help="Numbers a and b are the same where |a - b| ≤ tolerance · max(1, |a|, |b|).")
    ] = 1e-4,
    examples: Annotated[int, typer.Option(min=0, help="Changed rows to show per table.")] = 3,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,  # noqa: FBT002 -- typer's way
) -> None:
    """Compare two runs: what ran, and which rows differ. Exit code 1 if any row differs."""
    from rumiai_ray.cli.diff import print_diff, print_json  # noqa: PLC0415
    from rumiai_ray.runs.diff import compare_runs  # noqa: PLC0415
    from rumiai_ray.runs.find import find_run  # noqa: PLC0415

    found = compare_runs(find_run(before, config.out), find_run(after, config.out), tolerance=tolerance, examples=examples)
    (print_json if json else print_diff)(found)
    if found.differs:
        raise typer.Exit(Exit.TROUBLED)


@app.command("resume")
@with_settings()
def resume(run: RunName, config: BaseConfig) -> None:
    """Resume a run that was stopped or killed. Refused if code, weights or result settings have changed."""
    from rumiai_ray.cli.batch import resume as go_on  # noqa: PLC0415
    from rumiai_ray.runs.find import find_run  # noqa: PLC0415

    raise typer.Exit(go_on(find_run(run, config.out), config))


@app.command("retry")
@with_settings()
def retry(run: RunName, config: BaseConfig) -> None:
    """Start a new run with a run's dead letters and the videos on which a model failed."""
    from rumiai_ray.cli.batch import retry as again  # noqa: PLC0415
    from rumiai_ray.runs.find import find_run  # noqa: PLC0415

    raise typer.Exit(again(find_run(run, config.out), config))
