"""Every verb of the command line, and how each that starts no Ray is called over a run with planted secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import typer

from planted import LATER, REFUSED, TOKEN
from rumiai_ray.cli.app import command_line
from rumiai_ray.cli.corpus import CorpusFormat
from rumiai_ray.cli.export import ExportFormat

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

DRIVEN = frozenset({"analyze", "batch", "runs retry", "plan", "up", "status", "down"})
"""Verbs that the test calls beside `calls`: around the run that the others read."""
EXCEPTIONS: Mapping[str, str] = {
    "demo": "analyses a clip that it makes itself, as `analyze` does: no address, and all models' weights are needed",
}
"""Verbs that are not called, each with the reason."""


class Call(NamedTuple):
    """One call of the command line."""

    arguments: tuple[str | Path, ...]
    code: int = 0
    """How it ends: a call that is wrong usage shows nothing of what its verb prints and writes."""


def all_verbs() -> set[str]:
    """The names of all verbs, as the command line has them: `plan`, `runs why`, …"""
    return set(_leaves(typer.main.get_command(command_line("--help")), ""))


def _leaves(command: Any, name: str) -> Iterator[str]:
    if not hasattr(command, "commands"):
        yield name
        return
    for verb, inner in command.commands.items():
        yield from _leaves(inner, f"{name} {verb}".strip())


def verb_of(arguments: tuple[str | Path, ...]) -> str:
    """The verb that is called with `arguments`."""
    two = " ".join(map(str, arguments[:2]))
    return two if two in all_verbs() else str(arguments[0])


def calls(place: Path, at: str, signed: str, video_key: str) -> list[Call]:
    """Calls over the runs `first` and `latest`, in the order in which they can be made: the last ones remove what the others read.

    Args:
        place: where everything lies; what a person would write by hand lies in `given` below it.
        at: address of the origin.
        signed: full address of the entry `signed`.
        video_key: of its video.
    """
    given, made = place / "given", place / "made"
    made.mkdir()
    (given / "review.json").write_text("[]", encoding="utf-8")
    both = ("first", "latest")
    token = f"{at}/token.mp4?token={TOKEN}"
    return [
        *(Call(one) for one in (("doctor",), ("schema", "videos"), ("weights", "ls"), ("weights", "fetch"), ("weights", "verify"))),
        *(Call(("list", address), 2) for address in (f"{at}/list?token={TOKEN}", f"http://me:{REFUSED}@127.0.0.1/list?later={LATER}")),
        *(Call(("runs", "ls", *how)) for how in ((), ("--json",))),
        *(Call(("runs", "show", "first", *how)) for how in ((), ("--json",), ("--failures",), ("--failures", "--json"))),
        Call(("runs", "show", "first", "--export-json", made / "documents")),
        Call(("runs", "show", signed), 2),
        Call(("runs", "verify", "first")),
        Call(("runs", "tag", "first", "--tag", "kept", "--note", "a note")),
        *(Call(("runs", "why", "first", entry, *how)) for entry in ("signed", token, "refused") for how in ((), ("--json",))),
        Call(("runs", "why", "first", f"https://nobody.example/?token={TOKEN}"), 2),
        Call(("runs", "top", "first", "--once"), 1),
        *(Call(("runs", "diff", *both, *how), 1) for how in ((), ("--json",))),
        *(Call(("export", "first", "--format", kind, "--csv-raw", "--to", made / f"first.{kind}")) for kind in ExportFormat),
        Call(("export", signed), 2),
        *(Call(("query", "first", f"from {table}", "--json")) for table in ("videos", "dead_letter", "analyses")),
        Call(("query", "first", f"select * from '{token}'"), 2),  # noqa: S608 -- a person's own query
        *(Call(("report", run, "--to", made / f"report-{run}")) for run in both),
        Call(("annotate", "first", "signed", made / "drawn.mp4"), 2),  # the downloaded video is gone
        *(Call(("corpus", "ls", *both, *how)) for how in ((), ("--json",))),
        *(Call(("corpus", "ls", signed, *how)) for how in ((), ("--json",))),  # what answers there is listed as a damaged run
        *(Call(("corpus", "query", *both, f"from {table}", "--json")) for table in ("videos", "dead_letter", "summary")),
        *(Call(("corpus", "search", *both, "clip", *how)) for how in ((), ("--json",))),
        Call(("corpus", "compare", place / "runs" / "*", "--where", "'signed' IN entry_ids", "--page", made / "compared.html")),
        Call(("corpus", "report", *both, "--to", made / "corpus.html")),
        *(Call(("corpus", "export", *both, "--format", kind, "--csv-raw", "--to", made / f"corpus.{kind}")) for kind in CorpusFormat),
        Call(("corpus", "review", "first", given / "review.json", "--by", "me"), 2),
        Call(("corpus", "compact", *both, "--to", made / "compacted")),
        Call(("corpus", "compact", made / "compacted", "--check")),
        Call(("manifest", "minus", given / "list.csv", "first", "--to", given / "left.csv")),  # the rows as they are: a manifest, too
        *(Call(("frames", verb)) for verb in ("ls", "verify")),
        Call(("frames", "export", video_key[:12], made / "frames")),
        Call(("runs", "resume", "first"), 1),  # its dead letters stay
        Call(("corpus", "forget", "latest", "--video", video_key[:12], "--dry-run")),
        Call(("corpus", "forget", "latest", "--video", video_key[:12])),
        Call(("frames", "prune", "--to-gb", "0")),
        Call(("runs", "rm", "latest", "--yes")),
    ]
