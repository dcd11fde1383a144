"""The rooms of ARCHITECTURE.md: every import, type-only ones included, goes to a room above, and no two modules import each other."""

from __future__ import annotations

import ast
import re
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

import pytest

from module_imports import MODULES, PACKAGE, imports_of

if TYPE_CHECKING:
    from pathlib import Path

ROOT = PACKAGE.parent
ORDER = (
    "shown", "errors", "settings", "logs", "tracebacks", "schema", "disk", "storage", "provenance", "package_manager", "confinement",
    "ingest", "frames", "models", "config", "insights", "runs", "corpus", "engine.work", "engine.ray_session", "engine.setup",
    "engine.cell", "engine.results", "engine.warm", "engine.drive", "engine.interactive", "engine.batch", "engine.benchmark", "report",
    "cli", "python_api",
)  # fmt: skip
"""Every room, lowest first: a room imports from itself and from those before it."""
OUTSIDE = {"", "__main__", "engine"}
"""The package itself (it re-exports the Python API), `python -m rumiai_ray`, and a package that is only a docstring."""


def room(module: str) -> str | None:
    return next((one for one in ORDER if module == one or module.startswith(f"{one}.")), None)


def test_every_module_is_in_a_room() -> None:
    assert [name for name in MODULES if room(name) is None and name not in OUTSIDE] == []


@pytest.mark.parametrize("name", sorted(set(MODULES) - OUTSIDE))
def test_a_module_imports_only_from_its_own_room_and_those_below(name: str) -> None:
    here = room(name)
    assert here is not None
    allowed = ORDER[: ORDER.index(here) + 1]
    assert [wanted for wanted in sorted(imports_of(name)) if wanted and room(wanted) not in allowed] == []


@pytest.mark.parametrize("name", sorted(name for name in MODULES if room(name) == "insights"))
def test_insights_import_only_the_schema_so_that_they_can_be_computed_from_rows_alone(name: str) -> None:
    assert [wanted for wanted in sorted(imports_of(name)) if room(wanted) not in {"insights", "schema"}] == []


def test_no_modules_import_each_other_not_even_for_types() -> None:
    # A package that re-exports its own modules is the one kind of parent and child that name each other.
    graph = {name: {one for one in imports_of(name) if one and not name.startswith(f"{one}.")} for name in MODULES}
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail("import circle: " + " -> ".join(error.args[1]))


def types_of(name: str) -> list[str]:
    """The classes and type aliases that a module defines, those for type checkers alone included."""
    found: list[str] = []

    def look(body: list[ast.stmt]) -> None:
        for node in body:
            if isinstance(node, ast.ClassDef):
                found.append(node.name)
            elif (
                isinstance(node, ast.Assign)
                and isinstance(node.targets[0], ast.Name)
                and re.fullmatch(r"_?[A-Z]\w*[a-z]\w*", node.targets[0].id)
            ):
                found.append(node.targets[0].id)
            elif isinstance(node, ast.If):
                look(node.body)

    look(ast.parse(MODULES[name].read_text(encoding="utf-8")).body)
    return found


def test_no_two_types_have_one_name() -> None:
    """Who reads `Row` or `Video` in a message, a diagram or an editor's list knows which one is meant."""
    where: dict[str, list[str]] = {}
    for module in MODULES:
        for one in types_of(module):
            where.setdefault(one, []).append(module)
    assert where["Table"] == ["schema.table"], "the look finds them"
    assert where["Row"] == ["schema.table"], "aliases too"
    assert {one: modules_ for one, modules_ in where.items() if len(modules_) > 1} == {}


def starts_ray(path: Path) -> bool:
    """Whether code calls `ray.init`, by whatever name, or has the words of `ray start` for a command line."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    of_ray = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module in {"ray", "ray._private.worker"}
        for alias in node.names
        if alias.name == "init"
    }
    names = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
        if alias.name in {"ray", "ray._private.worker", "worker"}
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node.value == "--head":
            return True
        if isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Attribute) and called.attr == "init" and ast.unparse(called.value) in names:
                return True
            if isinstance(called, ast.Name) and called.id in of_ray:
                return True
    return False


def test_two_modules_start_a_ray_and_both_give_it_a_token() -> None:
    """SECURITY.md: a Ray without a token runs the code of every user of the machine."""
    sources = [*MODULES.values(), *(ROOT / "jobs").rglob("*.py")]
    starting = {path.relative_to(ROOT).as_posix() for path in sources if starts_ray(path)}
    assert starting == {"rumiai_ray/engine/ray_session/local.py", "rumiai_ray/engine/ray_session/local_head.py"}
    for path in starting:
        assert "environment_of" in (ROOT / path).read_text(encoding="utf-8"), path


@pytest.mark.parametrize(
    "code", ["import ray\nray.init()", "import ray as r\nr.init()", "from ray import init as go\ngo()", "run(['ray', 'start', '--head'])"]
)
def test_every_way_to_start_a_ray_is_seen(tmp_path: Path, code: str) -> None:
    (tmp_path / "module.py").write_text(code)
    assert starts_ray(tmp_path / "module.py")


def test_the_imports_are_really_read() -> None:
    assert {"engine.work.item", "frames.types"} <= imports_of("engine.cell.frontend")
    assert "models.base" in imports_of("engine.work.item")


NAMED = re.compile(r"rumiai_ray((?:\.\w+)+)(?::(\w+))?")


def named_by_strings(source: str) -> set[str]:
    """What strings of a module name as a whole: `rumiai_ray.room.module`, or `…:name` for what is in one."""
    nodes = ast.walk(ast.parse(source))
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str) and NAMED.fullmatch(node.value)}


def exists(named: str) -> bool:
    """Whether there is such a module, or a function, class or value at the top of one."""
    found = NAMED.fullmatch(named)
    assert found is not None
    path, name = found[1].removeprefix("."), found[2]
    if name is None and path not in MODULES:
        path, _, name = path.rpartition(".")
    if path not in MODULES:
        return False
    body = ast.parse(MODULES[path].read_text(encoding="utf-8")).body
    defined = {node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    defined |= {target.id for node in body if isinstance(node, ast.Assign) for target in node.targets if isinstance(target, ast.Name)}
    return name is None or name in defined


@pytest.mark.parametrize("path", [*MODULES.values(), *sorted((ROOT / "jobs").rglob("*.py"))], ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_that_code_names_in_a_string_exists(path: Path) -> None:
    """A look into `sys.modules` finds nothing after a rename, and says nothing."""
    assert [one for one in sorted(named_by_strings(path.read_text(encoding="utf-8"))) if not exists(one)] == []


def test_every_module_that_the_project_file_names_exists() -> None:
    named = set(re.findall(r'"(rumiai_ray(?:\.\w+)+(?::\w+)?)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8")))
    assert "rumiai_ray.cli.app:program" in named
    assert [one for one in sorted(named - {"rumiai_ray.__version__"}) if not exists(one)] == []


def test_a_module_named_in_a_string_is_seen() -> None:
    source = "x = sys.modules.get('rumiai_ray.cli.gone')\nCLASSES = {'yolo': 'rumiai_ray.models.yolo.model:Gone'}\n"
    assert named_by_strings(source) == {"rumiai_ray.cli.gone", "rumiai_ray.models.yolo.model:Gone"}
    assert not any(exists(one) for one in named_by_strings(source))
    assert exists("rumiai_ray.models.yolo.model:Yolo")
    assert exists("rumiai_ray.cli.options.with_settings")


def test_the_table_of_rooms_has_every_room_in_the_order_of_the_imports() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").partition("## Rooms")[2]
    cells = re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)
    rooms = [name.rstrip("/").replace("/", ".") for cell in cells for name in re.findall(r"`([\w/.]+)`", cell)]
    assert rooms == list(ORDER)


@pytest.mark.parametrize("document", ["ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_every_module_that_a_document_names_exists(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    known = [path.relative_to(ROOT).as_posix() for folder in ("rumiai_ray", "tests", "jobs") for path in (ROOT / folder).rglob("*.py")]
    named = set(re.findall(r"`([a-z_]+(?:/[a-z_]+)*\.py)`", text))
    assert named
    assert [one for one in sorted(named) if not any(path == one or path.endswith(f"/{one}") for path in known)] == []
