"""No exception disappears without a word: who catches one and goes on says so in the log, at debug level at least."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import rumiai_ray

TREE = Path(rumiai_ray.__file__).parent

ANSWERS = {
    "BlockingIOError", "BrokenPipeError", "EOFError", "FileExistsError", "FileNotFoundError", "KeyboardInterrupt", "MissingWeightsError",
    "ModuleNotFoundError", "NoSuchProcess", "PackageNotFoundError", "ProcessLookupError", "queue.Empty", "queue.Full", "Stopped",
    "typer.Abort",
}  # fmt: skip
"""Exceptions that answer a question (is it there? has it come?); catching one hides nothing."""

EXEMPT = {
    "cli/doctor/ray.py": "`doctor` runs before anything is installed, and prints what it found",
    "cli/output.py": "standard error is what cannot be written, and the log goes there",
    "shown.py": "the log's own lines go through it",
    "cli/doctor/debian.py": "it runs on a bare Python, before anything is installed, and prints what it found",
    "frames/decode/picture_files.py": "its text is part of the frames' key, and it speaks to its parent over a pipe",
    "frames/decode/views.py": "its text is part of the frames' key, and it speaks to its parent over a pipe",
    "models/weights/places.py": "a home is looked for at import, before anybody has set up the log",
    "confinement/__init__.py": "it runs in processes that speak over a pipe; the descriptor that lists descriptors is closed by then",
    "engine/ray_session/local_head.py": "a note of a Ray that is not readable is no note",
    "frames/decode/child.py": "its text is part of the frames' key, and it speaks to its parent over a pipe",
    "frames/store/entry.py": "its text is part of the frames' key",
    "frames/decode/parent.py": "its text is part of the frames' key",
}
"""Modules that may swallow more, with the reason."""


def swallowed(source: str) -> list[str]:
    """What each handler of a module catches that neither raises nor uses the exception, and each `suppress`; without the answers."""
    found = []
    for node in ast.walk(ast.parse(source)):
        kinds: list[ast.expr] = []
        if isinstance(node, ast.ExceptHandler):
            inside = [part for statement in node.body for part in ast.walk(statement)]
            used = any(isinstance(part, ast.Name) and part.id == node.name for part in inside)
            if not used and not any(isinstance(part, ast.Raise) for part in inside):
                kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type or ast.Name("everything")]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "suppress":
            kinds = node.args
        names = [ast.unparse(kind) for kind in kinds]
        found += [name for name in names if not {name, name.rpartition(".")[2]} & ANSWERS]
    return found


@pytest.mark.parametrize("path", sorted(TREE.rglob("*.py")), ids=lambda path: path.relative_to(TREE).as_posix())
def test_what_is_caught_is_said(path: Path) -> None:
    name = path.relative_to(TREE).as_posix()
    found = swallowed(path.read_text(encoding="utf-8"))
    assert found == [] or name in EXEMPT, "log it with its ids: `logs.swallowed`, or a line at debug level"


def test_the_look_for_swallowed_exceptions_finds_them() -> None:
    assert swallowed("try:\n    f()\nexcept ValueError:\n    pass") == ["ValueError"]
    assert swallowed("try:\n    f()\nexcept (OSError, queue.Empty) as e:\n    x = 1") == ["OSError"]
    assert swallowed("try:\n    f()\nexcept:\n    pass") == ["everything"]
    assert swallowed("with contextlib.suppress(RayError):\n    f()") == ["RayError"]
    assert swallowed("try:\n    f()\nexcept ValueError as e:\n    log(e)") == []
    assert swallowed("try:\n    f()\nexcept ValueError:\n    raise OSError") == []
