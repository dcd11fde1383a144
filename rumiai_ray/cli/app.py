"""The command line: `rumiai-ray` and `python -m rumiai_ray`. Verbs live in modules of their own; here is what is common.

Exit codes: 0 complete, 1 some video or model failed, 2 usage or preflight, 3 aborted, or the machine failed.
"""

from __future__ import annotations

import gc
import os
import re
import signal
import sys
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from rumiai_ray import __version__
from rumiai_ray.cli.boundary import exit_code_of, pipes_apart
from rumiai_ray.cli.garbage import WHILE_IMPORTING
from rumiai_ray.cli.help_text import VerbGroup, examples, in_plain_text
from rumiai_ray.cli.options import Verbose  # noqa: TC001 -- typer reads the annotations
from rumiai_ray.cli.output import mark_streams
from rumiai_ray.cli.terminal import say
from rumiai_ray.cli.wrong_usage import check_batch
from rumiai_ray.engine.ray_session import supervisor as supervise
from rumiai_ray.errors import ConfigError
from rumiai_ray.logs import configure

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT = "analyze"
_VERBS = {
    "analyze": "analyze",
    "batch": "batch",
    "list": "list_posts",
    "demo": "demo.verb",
    "doctor": "doctor.verb",
    "plan": "plan",
    "query": "query",
    "report": "report",
    "annotate": "annotate",
    "export": "export",
    "schema": "schema",
    "up": "warm",
    "down": "warm",
    "status": "warm",
    "frames": "frames",
    "weights": "weights",
    "runs": "runs",
    "corpus": "corpus",
    "manifest": "manifest",
}
"""The module of each verb, here in `rumiai_ray.cli`, in the order `--help` shows them."""
_VERBOSE = re.compile("--verbose|-v+")
_COMPLETION = ("--install-completion", "--show-completion")


class _DefaultsToAnalyze(VerbGroup):
    """`rumiai-ray VIDEO` means `rumiai-ray analyze VIDEO`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        first = _first(args)
        if first and first not in self.commands and first not in {"-h", "--help", "-V", "--version", *_COMPLETION}:
            at = args.index(first)
            if first.startswith("-") and not ctx.resilient_parsing:  # else the shell completes a line that is not finished
                self._check_first_input(ctx, args[at:])
            args = [*args[:at], DEFAULT, *args[at:]]
        return super().parse_args(ctx, args)

    def _check_first_input(self, ctx: Any, args: list[str]) -> None:
        """Raises `ConfigError` if the first input after options can be none. Only the verb knows which options take a value."""
        verb = self.commands[DEFAULT]
        values, *_ = verb.make_parser(typer.Context(verb, parent=ctx, info_name=DEFAULT)).parse_args(list(args))
        inputs: Any = values.get("inputs")
        first = inputs[0] if inputs else ""
        if first in _VERBS:
            hint = f"rumiai-ray {first} …; write ./{first} for an input of that name"
            raise ConfigError("a command comes before its options", repr(first), hint)
        _check_input(first)

    def invoke(self, ctx: Any) -> Any:
        with pipes_apart():
            return super().invoke(ctx)


def _first(arguments: Sequence[str]) -> str:
    """The first argument that is not `--verbose`: a verb, or what is to be analysed; empty where there is none."""
    return next((argument for argument in arguments if not _VERBOSE.fullmatch(argument)), "")


def understood(arguments: Sequence[str]) -> list[str]:
    """`arguments` with `help` as the option it means.

    Raises:
        ConfigError: the first one is neither a verb nor anything that could be an input, or `batch` is given its list without an option.
    """
    first = _first(arguments)
    if first == "help":
        at = arguments.index(first)
        rest = [*arguments[:at], *arguments[at + 1 :]]
        return [*rest, "--help"] if _first(rest) in {*_VERBS, ""} else understood(rest)
    if first not in _VERBS:
        _check_input(first)
    if first == "batch":
        check_batch(arguments[arguments.index(first) :])
    return list(arguments)


def _check_input(first: str) -> None:
    """Raises `ConfigError` for a word that is neither a verb nor anything that could be an input; there may be none."""
    if first and not _could_be_input(first):
        near = get_close_matches(first.lower(), [*_VERBS, "help"], n=1, cutoff=0.6)
        hint = f"did you mean `{near[0]}`?" if near else f"the commands are {', '.join(_VERBS)}; write ./{first} for a file of that name"
        raise ConfigError("no such command", repr(first), hint)


def _could_be_input(text: str) -> bool:
    """Whether an argument can be meant as a video: a path, a name with an ending, a pattern, a URL or URI, a file; options count too."""
    return text.startswith("-") or any(sign in text for sign in "/.:*?[~") or Path(text).exists()


def command_line(first: str = "--help") -> typer.Typer:
    """The command line, with all verbs or only with the one that is wanted: options of all the others take 0.1 s to make.

    Args:
        first: the verb, or the first argument where there is none.
    """
    app = typer.Typer(
        cls=_DefaultsToAnalyze,
        no_args_is_help=True,
        add_completion=first in {"-h", "--help", *_COMPLETION},
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
        help="Analyse short videos with five model families. Frames are cached, model outputs never.",
        epilog=examples(
            "rumiai-ray clip.mp4                          analyse a file, a folder or a URL",
            "rumiai-ray list URL > posts.csv              the posts of a creator or a playlist",
            "rumiai-ray batch --manifest posts.csv        analyse thousands in one run",
            'rumiai-ray query latest "SELECT * FROM texts"  ask what was found',
        ),
    )
    app.callback()(_common)
    modules = _VERBS.values() if first in {"-h", "--help", *_COMPLETION} else [_VERBS.get(first, DEFAULT)]
    for name in dict.fromkeys(modules):
        import_module(f"rumiai_ray.cli.{name}").add_to(app)
    in_plain_text(app, _DefaultsToAnalyze)
    return app


def _version(value: bool) -> None:  # noqa: FBT001 -- typer's callback
    if value:
        say(f"rumiai_ray {__version__}")
        raise typer.Exit


def _common(
    version: bool = typer.Option(False, "--version", "-V", callback=_version, is_eager=True, help="Print the version and end."),  # noqa: ARG001, FBT001, FBT003
    verbose: Verbose = 0,
) -> None:
    configure(verbose)


def program() -> None:
    """`main`, as a process of its own: where it is still connected to a Ray that stays, it ends without good-bye."""
    mark_streams()
    if _drives(sys.argv[1:]):
        supervise.supervise()
    gc.set_threshold(*WHILE_IMPORTING)
    try:
        main()
    except SystemExit as end:
        attach: Any = sys.modules.get("rumiai_ray.engine.ray_session.warm_connection")
        if attach is None or not attach.may_be_left():
            raise
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.flush()  # raises nothing: a stream that cannot be written leads nowhere by now
        supervise.tell(ended=True)
        os._exit(int(end.code or 0))
    finally:
        supervise.tell(ended=True)


def _drives(arguments: list[str]) -> bool:
    """Whether these arguments start a run: its driver may be ended by Ray, and is supervised."""
    first, second, *_ = [*arguments, "", ""]
    if "help" in {first, second} or {"-h", "--help", "--help-all", "-V", "--version", *_COMPLETION} & set(arguments):
        return False
    return first in {DEFAULT, "batch", "demo"} or (first == "runs" and second in {"resume", "retry"}) or (first not in {*_VERBS, ""})


def main() -> None:
    """Run the command line; every error of ours becomes one line on stderr and an exit code, and SIGTERM means what Ctrl-C does."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    mark_streams()
    sys.exit(exit_code_of(_run))


def _run() -> Any:
    arguments = understood(sys.argv[1:])
    return command_line(_first(arguments) or "--help")(arguments, standalone_mode=False)
