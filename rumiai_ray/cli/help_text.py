"""Help in two tiers: `--help` shows what people use every day, with examples; `--help-all` shows every setting.

Plain text, because a table of boxes cuts the names of long options off at 80 columns.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from rumiai_ray.cli.terminal import say

EVERYDAY = {
    "profile",
    "accept_noncommercial",
    "models",
    "device",
    "out",
    "store",
    "cookies",
    "proxy",
    "sampling.fps",
    "ocr.engine",
    "ocr.languages",
    "whisper.language",
    "engine.cells",
}
"""Settings that `--help` shows; all others are on `--help-all` only."""


class Verb(TyperCommand):
    """A command whose help groups its options under headings."""

    def format_options(self, ctx: Any, formatter: Any) -> None:  # noqa: D102 -- typer's hook
        parameters = self.get_params(ctx)
        everything = not any(getattr(parameter, "hidden", False) for parameter in parameters)
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for parameter in parameters:
            if record := parameter.get_help_record(ctx):
                plain = "Options" if parameter.param_type_name == "option" else "Arguments"
                heading = getattr(parameter, "rich_help_panel", None) or plain
                # A heading for each group of settings helps in a list of a hundred, and only stretches one of a dozen.
                sections.setdefault(heading if everything else heading.partition(",")[0], []).append(_tidy(record))
        for heading, records in sections.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:  # noqa: D102 -- typer's hook
        del ctx
        if self.epilog:
            with formatter.section("Examples"):
                for line in self.epilog.splitlines():
                    formatter.write(f"{'':{formatter.current_indent}}{line}\n")


class VerbGroup(TyperGroup):
    """A group of commands whose help says of each the whole first paragraph."""

    format_epilog = Verb.format_epilog

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: D102 -- typer's hook
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, _first_paragraph(command.help)) for name, command in commands if command and not command.hidden])


def examples(*lines: str) -> str:
    """Command lines to show under a verb's options."""
    return "\n".join(lines)


def in_plain_text(app: typer.Typer, group: type[TyperGroup]) -> None:
    """Give every command of `app` and of its groups this module's help."""
    app.info.cls = group
    for command in app.registered_commands:
        command.cls = Verb
    for below in app.registered_groups:
        below.cls = VerbGroup
        if below.typer_instance is not None:
            in_plain_text(below.typer_instance, VerbGroup)


def _show_all(context: typer.Context, wanted: bool) -> None:  # noqa: FBT001 -- typer's callback
    if wanted:
        for parameter in context.command.params:
            vars(parameter)["hidden"] = False
        say(context.get_help())
        raise typer.Exit


HelpAll = Annotated[
    bool,
    typer.Option("--help-all", is_eager=True, callback=_show_all, help="Show every setting and exit.", show_default=False),
]


def _tidy(record: tuple[str, str]) -> tuple[str, str]:
    """Without the Python type of an argument that takes several."""
    return record[0].replace(" <list[str]>", ""), record[1]


def _first_paragraph(text: str | None) -> str:
    return " ".join((text or "").partition("\n\n")[0].split())
