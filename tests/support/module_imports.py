"""Which modules of the package a module of it names in import statements."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import rumiai_ray

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

PACKAGE = Path(rumiai_ray.__file__).parent


def modules() -> dict[str, Path]:
    """Every module of the package by its name below `rumiai_ray`; the package itself is the empty name."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def below(dotted: str) -> str:
    return dotted.removeprefix("rumiai_ray").removeprefix(".")


def imports_of(name: str) -> set[str]:
    """The modules of this package that a module names in an import statement, at any depth of its code."""
    named: list[str] = []
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            named += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            named += [one if below(one) in MODULES else node.module for one in whole]
    return {below(one) for one in named if one.partition(".")[0] == "rumiai_ray"} - {name}


def packages_of(name: str) -> set[str]:
    """The packages around a module, the outermost included: Python runs their code before it imports the module."""
    parts = name.split(".") if name else []
    return {".".join(parts[:end]) for end in range(len(parts))}


def import_closure(first: Iterable[str], *, not_through: Collection[str] = ()) -> set[str]:
    """The modules that are imported where those of `first` are, these included.

    Args:
        first: names below `rumiai_ray`.
        not_through: modules that are in the answer where they are imported, but whose own imports are not followed.
    """
    found: set[str] = set()
    waiting = list(first)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        if name not in not_through:
            waiting += imports_of(name) | packages_of(name)
    return found
