"""The program with which a Ray of our own starts each worker: it sets the worker's variables and becomes the worker.

It replaces Ray's `_private/workers/setup_worker.py`, which imports the whole of Ray for these few lines: half of the CPU time that a
worker's start took. Only the standard library is imported here, and Ray runs a copy of this file: the package need not be importable.

The file's name is Ray's. The raylet looks for that name, to leave this step out for a worker that has no environment of its own.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_ENVIRONMENT = "--serialized-runtime-env-context="
_LANGUAGE = "--language="


def split(arguments: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """The worker's environment as Ray's runtime-env agent describes it, and the worker's own arguments."""
    described = [argument.removeprefix(_ENVIRONMENT) for argument in arguments if argument.startswith(_ENVIRONMENT)]
    worker = [argument for argument in arguments if not argument.startswith((_ENVIRONMENT, _LANGUAGE))]
    context: dict[str, Any] = json.loads(described[-1]) if described and described[-1] else {}
    return context, worker


def expanded(variables: Mapping[str, str]) -> None:
    """Set these variables in this process. `${X}` stands for the variable X, or for nothing where X is not set."""
    for name, value in variables.items():
        os.environ[name] = re.sub(r"\$\{[A-Z0-9_]+\}", "", os.path.expandvars(value))


def main(arguments: Sequence[str]) -> None:
    """Become the worker that these arguments describe."""
    context, worker = split(arguments)
    expanded(context.get("env_vars") or {})
    if context.get("override_worker_entrypoint"):
        worker[0] = context["override_worker_entrypoint"]
    # The prefix is shell code, such as `cd DIRECTORY &&`; the executable may have arguments.
    prefix = context.get("command_prefix") or []
    command = [*prefix, "exec", context.get("py_executable") or sys.executable, *map(shlex.quote, worker)]
    os.execvp("bash", ["bash", "-c", " ".join(command)])  # noqa: S606, S607 -- the command line and the shell that Ray itself uses


if __name__ == "__main__":
    main(sys.argv[1:])
