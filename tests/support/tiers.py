"""Which tier a test belongs to, read from what the test uses. Nobody marks a test by hand.

unit        no Ray and no weights. The decoder's process, the command line and small programs of the tests are allowed.
ray         starts a Ray.
long        starts a program of `jobs/` that is to end before its Ray starts, or repeats a run at every operation of a disk or a server:
            minutes of work, which run beside Ray's waiting.
models      loads a model's weights, reads real media, or runs a network's own library.
acceptance  the product as a whole: Ray and models together, or anything under `tests/acceptance`.
"""

from __future__ import annotations

import inspect
import json
import os
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pytest

Tier = Literal["unit", "ray", "long", "models", "acceptance"]
TIERS: tuple[Tier, ...] = get_args(Tier)
"""In the order in which they run."""

HELPERS = Path(__file__).resolve().parent
TESTS = HELPERS.parent
STARTS_RAY = frozenset({"local_ray", "start_ray", "start_head", "attached", "ray_head", "Cluster"})
"""What starts a Ray or joins one. A test belongs to `ray` whose code, fixtures, helpers or programs reach one of these names."""
NETWORKS = frozenset({"open_clip", "feat", "easyocr", "import_ultralytics"})
"""Imports that bring torch and a network's code along: seconds each, with random weights too."""
JOB = "a program of jobs/"
EXHAUSTIVE = frozenset({"CrashingDisk", "with_fates"})
"""Helpers of the tests that repeat a run at every operation."""
REAL = frozenset({"plan_for", "weights", "media"})
"""Fixtures that hand out weights and real media."""


def tier_of(item: pytest.Item) -> Tier:
    """The tier of a collected test."""
    if (TESTS / "acceptance") in item.path.parents:
        return "acceptance"
    used = set(_names_of_fixtures(item))
    models = bool(used & REAL) or item.get_closest_marker("model") is not None
    reached = frozenset[str]().union(*(names_reached(function) for function in _functions_of(item)))
    if models and reached & (STARTS_RAY | {JOB}):
        return "acceptance"
    if reached & STARTS_RAY:
        return "ray"
    if models or reached & NETWORKS:
        return "models"
    return "long" if reached & (EXHAUSTIVE | {JOB}) else "unit"


def note_files(tests: Iterable[tuple[Tier, Path]], note: Path) -> None:
    """Write down which files have tests of which tier, unless that is written already.

    Args:
        tests: tier and file of each test that was collected.
        note: the file to write, see `files_noted`.
    """
    if note.exists():
        return
    files: dict[Tier, dict[str, None]] = {}
    for tier, file in tests:
        files.setdefault(tier, {})[str(file)] = None
    part = note.with_name(f"{note.name}.{os.getpid()}")
    part.write_text(json.dumps({tier: list(found) for tier, found in files.items()}), encoding="utf-8")
    part.replace(note)  # whole: other processes note the same at the same time


def files_noted(tier: Tier, note: Path) -> list[str]:
    """Files with tests of a tier, in the order of their collection; none where nothing is noted."""
    found: list[str] = json.loads(note.read_text(encoding="utf-8")).get(tier, []) if note.exists() else []
    return found


def _names_of_fixtures(item: pytest.Item) -> list[str]:
    return list(getattr(item, "fixturenames", ()))


def _functions_of(item: pytest.Item) -> Iterator[FunctionType]:
    """The test's function and those of the fixtures it gets, directly or through others."""
    function = getattr(item, "function", None)
    if isinstance(function, FunctionType):
        yield function
    info = getattr(item, "_fixtureinfo", None)
    for definitions in (info.name2fixturedefs if info else {}).values():
        yield from (one.func for one in definitions if isinstance(one.func, FunctionType))


@cache
def names_reached(function: FunctionType) -> frozenset[str]:
    """Every name that the function's code mentions, and the code of this project's tests that it reaches through these names."""
    names: set[str] = set()
    seen: set[int] = set()
    left: list[Any] = [function]
    while left:
        one = left.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, FunctionType):
            mentioned = _mentioned(one.__code__)
            names |= mentioned
            left += _scripts(one.__globals__, one.__code__)
            spaces = [one.__globals__, *(vars(value) for value in _modules(one.__globals__, mentioned))]
            left += [_plain(space[name]) for space in spaces for name in mentioned if name in space and _is_ours(space[name])]
        elif isinstance(one, type):
            left += [value for value in map(_plain, vars(one).values()) if isinstance(value, FunctionType)]
            left += [base for base in one.__bases__ if _is_ours(base)]
        elif isinstance(one, ModuleType | Path):
            script = Path(str(getattr(one, "__file__", one)))
            names |= {JOB} if script.parent.name == "jobs" else _names_in_script(script)
    return frozenset(names)


def _plain(value: Any) -> Any:
    """The function behind a method, a property or a decorator that keeps it."""
    value = getattr(value, "__func__", None) or getattr(value, "fget", None) or value
    return inspect.unwrap(value) if callable(value) else value


@cache
def _mentioned(code: CodeType) -> frozenset[str]:
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return frozenset(code.co_names).union(*map(_mentioned, inner))


def _scripts(space: dict[str, Any], code: CodeType) -> Iterator[Path]:
    """Programs that the code starts: those beside the helpers that it names, and its own module where that is a helper's."""
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _scripts(space, constant)
        elif isinstance(constant, str) and constant.endswith(".py") and (HELPERS / constant).is_file():
            yield HELPERS / constant
    if "__file__" in code.co_names and Path(space["__file__"]).parent == HELPERS:
        yield Path(space["__file__"])


def _modules(space: dict[str, Any], names: frozenset[str]) -> Iterator[ModuleType]:
    """Modules of the tests that the names stand for."""
    for name in names:
        value = space.get(name)
        if isinstance(value, ModuleType) and _is_ours(value):
            yield value


def _is_ours(value: Any) -> bool:
    """Whether a value is code of the tests, or a program that they start."""
    if isinstance(value, Path):
        return value.suffix == ".py"
    if isinstance(value, ModuleType):
        return _is_in_tests(getattr(value, "__file__", None))
    value = _plain(value)
    if isinstance(value, FunctionType):
        return _is_in_tests(value.__code__.co_filename)
    return isinstance(value, type) and _is_in_tests(_file_of(value))


def _file_of(one: type) -> str | None:
    try:
        return inspect.getfile(one)
    except (OSError, TypeError):
        return None


@cache
def _is_in_tests(file: str | None) -> bool:
    return file is not None and TESTS in Path(file).resolve().parents


@cache
def _names_in_script(script: Path) -> frozenset[str]:
    """Names in the code of a program that tests start in a process of its own."""
    if not script.is_file():
        return frozenset()
    return _mentioned(compile(script.read_text(encoding="utf-8"), str(script), "exec"))
