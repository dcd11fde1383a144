"""`rumiai-ray doctor`: is this machine fit for a run, and if not, what to do. Also the preflight of every run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from rumiai_ray.cli.exits import Exit
from rumiai_ray.cli.options import with_settings
from rumiai_ray.cli.tables import folding
from rumiai_ray.cli.terminal import SafeConsole, say
from rumiai_ray.config import BaseConfig  # noqa: TC001 -- typer reads the annotations
from rumiai_ray.errors import ConfigError

if TYPE_CHECKING:
    from rumiai_ray.cli.doctor.checks import Finding

_STYLES = {"ok": "green", "warning": "yellow", "error": "red"}

Clear = Annotated[bool, typer.Option("--clear", help="Remove what killed commands have left behind, and kept logs of Ray, then check.")]


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("doctor")(with_settings()(doctor))


def doctor(config: BaseConfig, clear: Clear = False) -> None:  # noqa: FBT002 -- typer's way
    """Check Python, system libraries, packages, weights, disk, sandbox, GPU and Ray; every finding says what to do."""
    if clear:
        _clear()
    findings = examine_for(config, quick=False)
    table = Table(*folding("", "check", "finding", "what to do"))
    for finding in findings:
        table.add_row(Text(finding.status, _STYLES[finding.status]), finding.check, Text(finding.message), Text(finding.remedy))
    SafeConsole().print(table)
    if any(finding.status == "error" for finding in findings):
        raise typer.Exit(Exit.USAGE)


def _clear() -> None:
    """Remove the directories of this user's commands that have ended; a directory whose owner lives is not touched."""
    from rumiai_ray.engine.ray_session.folder import left_behind  # noqa: PLC0415

    for left in left_behind():
        if left.clear():
            say(f"removed {left.path} ({left.size_bytes / 1e6:.1f} MB)", err=True)


def preflight(config: BaseConfig) -> None:
    """The quick checks; warnings go to stderr.

    Raises:
        ConfigError: the machine is not fit for this run; the message lists every reason and remedy.
    """
    findings = examine_for(config, quick=True)
    for finding in findings:
        if finding.status == "warning":
            say(f"warning: {finding.message} ({finding.remedy})", err=True)
    errors = [f"{finding.message} ({finding.remedy})" for finding in findings if finding.status == "error"]
    if errors:
        raise ConfigError("; ".join(errors), "preflight", "`rumiai-ray doctor` checks everything")


def examine_for(config: BaseConfig, *, quick: bool) -> list[Finding]:
    """The doctor's findings for a run under `config`."""
    from rumiai_ray.cli.doctor.checks import examine  # noqa: PLC0415
    from rumiai_ray.engine.setup.model_choice import weight_directories  # noqa: PLC0415

    models = {name: config.model_settings(name) for name in config.models}
    return examine(
        config.profile,
        models,
        weight_directories(config),
        config.store,
        config.out,
        quick=quick,
        require_sandbox=config.limits.require_sandbox,
        accepted=config.accept_noncommercial,
    )
