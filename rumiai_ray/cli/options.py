"""Every setting as a command-line option, made from the settings themselves: one name, one help text, one truth."""

from __future__ import annotations

import inspect
import os
import types
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, cast, get_args, get_origin

import typer

from rumiai_ray.cli.help_text import EVERYDAY, HelpAll
from rumiai_ray.config import ENV_PREFIX, BaseConfig, flat_settings, load_config
from rumiai_ray.logs import VARIABLE, configure

if TYPE_CHECKING:
    from collections.abc import Callable

Command = TypeVar("Command", bound="Callable[..., Any]")

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", envvar=f"{ENV_PREFIX}CONFIG", help="TOML file with settings, same names as the flags.", show_default=False),
]

Verbose = Annotated[
    int,
    typer.Option(
        "--verbose",
        "-v",
        count=True,
        help=f"Say on stderr what is being done; twice: also every exception that was handled. {VARIABLE} sets the level by name.",
        show_default=False,
    ),
]

RunId = Annotated[
    str | None, typer.Option("--run-id", envvar="RUMIAI_RUN_ID", help="Name of the run; made up where not given.", show_default=False)
]

RunNames = Annotated[
    list[str],
    typer.Argument(metavar="RUNS", help="Runs: paths, quoted patterns such as 'runs/*', URIs, or ids under --out.", show_default=False),
]

RunLabel = Annotated[
    str | None, typer.Option("--name", help="What to call the run; it can be named so wherever RUN stands.", show_default=False)
]
Tags = Annotated[list[str] | None, typer.Option("--tag", help="A tag of the run; can be given several times.", show_default=False)]
RunNote = Annotated[str | None, typer.Option("--note", help="A note about the run, for people.", show_default=False)]

PrintJson = Annotated[bool, typer.Option("--json", help="Print it as JSON.")]

CsvRaw = Annotated[
    bool,
    typer.Option(
        "--csv-raw", help="Leave texts in CSV as they are; else those that a spreadsheet would take for formulas get an apostrophe first."
    ),
]

_SHORT_FLAGS = {("limits", "require_sandbox"): "--require-sandbox"}
"""Second names of settings that people type often."""


def with_settings(*groups: str) -> Callable[[Command], Command]:
    """Give a command an option for every setting, `--config` and `--verbose`; it receives the settings as one `config` argument.

    Args:
        groups: only these top-level names (`store`, `weights_dir`, …); all of them where none is given.
    """

    def decorate(command: Command) -> Command:
        own = list(inspect.signature(command, eval_str=True).parameters.values())
        paths = {_parameter(path): path for path, _ in flat_settings() if not groups or path[0] in groups}

        def wrapped(**values: Any) -> Any:
            say_more(values.pop("verbose"))
            values.pop("help_all", None)
            flags: dict[str, Any] = {}
            for parameter, path in paths.items():
                value = values.pop(parameter)
                if value is not None:
                    _put(flags, path, value)
            config = load_config(values.pop("config_file"), flags)
            if not config.shared:
                os.umask(0o077)  # here and in every process that this one starts
            return command(config=config, **values)

        options = [
            inspect.Parameter(_parameter(path), inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_annotation(path, info))
            for path, info in flat_settings()
            if _parameter(path) in paths
        ]
        file = inspect.Parameter("config_file", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=ConfigFile)
        arguments = [parameter for parameter in own if parameter.name != "config"]
        verbose = inspect.Parameter("verbose", inspect.Parameter.KEYWORD_ONLY, default=0, annotation=Verbose)
        show_all = inspect.Parameter("help_all", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=HelpAll)
        more = [show_all] if any(".".join(path) not in EVERYDAY for path in paths.values()) else []
        parameters = [*(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in arguments), file, verbose, *more, *options]
        vars(wrapped)["__signature__"] = inspect.Signature(parameters)  # what typer reads
        wrapped.__annotations__ = {p.name: p.annotation for p in parameters}
        wrapped.__doc__ = command.__doc__
        wrapped.__name__ = command.__name__
        return cast("Command", wrapped)

    return decorate


def say_more(verbose: int) -> None:
    """Log as much as `--verbose` asks for, where it was given."""
    if verbose:
        configure(verbose)


def _parameter(path: tuple[str, ...]) -> str:
    return "setting_" + "_".join(path)


def _put(flags: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for name in path[:-1]:
        flags = flags.setdefault(name, {})
    flags[path[-1]] = value


def _annotation(path: tuple[str, ...], info: Any) -> Any:
    """The option's type: a switch for a bool, else text that pydantic reads, so that limits and messages are the settings' own."""
    flag = "--" + "-".join(path).replace("_", "-")
    names = [flag, *([_SHORT_FLAGS[path]] if path in _SHORT_FLAGS else [])]
    panel = f"Settings, {path[0]}" if len(path) > 1 else "Settings"
    default = "" if info.default in (None, False, ()) or _is_path(info.annotation) else f" [default: {_shown(info.default)}]"
    option = typer.Option(
        *(f"{name}/--no-{name[2:]}" if info.annotation is bool and name == flag else name for name in names),
        help=(info.description or "") + default,
        hidden=".".join(path) not in EVERYDAY,
        rich_help_panel=panel,
        show_default=False,
        metavar=None if info.annotation is bool else "VALUE",
    )
    return Annotated[bool | None if info.annotation is bool else str | None, option]


def _is_path(annotation: Any) -> bool:
    if get_origin(annotation) is types.UnionType:
        return any(_is_path(part) for part in get_args(annotation))
    return annotation is Path


def _shown(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


__all__ = ["BaseConfig", "CsvRaw", "RunLabel", "RunNames", "RunNote", "Tags", "Verbose", "say_more", "with_settings"]
