"""No exception disappears without a word: who catches one and goes on says so in the log, at debug level at least."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import rumiai_ray
from rumiai_ray.frames.decoder_version import _WITHOUT_INFLUENCE

TREE = Path(rumiai_ray.__file__).parent

ANSWERS = {
    "BlockingIOError", "BrokenPipeError", "EOFError", "FileExistsError", "FileNotFoundError", "KeyboardInterrupt", "MissingWeightsError",
    "ModuleNotFoundError", "NoSuchProcess", "PackageNotFoundError", "ProcessLookupError", "queue.Empty", "queue.Full", "Stopped",
    "typer.Abort",
}  # fmt: skip
"""Exceptions that answer a question (is it there? has it come?); catching one hides nothing."""

IGNORING = {"ignore_errors", "ignore_cleanup_errors"}
"""Options of the standard library that swallow whatever happens."""

_KEY = "its text is part of the frames' key: a line more makes every stored frame stale"
EXEMPT = {
    ("cli/output.py", "_is_open", "OSError"): "it asks whether a descriptor is open, and no stream exists yet",
    ("cli/output.py", "_giving_up.giving_up", "OSError"): "standard error is what cannot be written, and the log goes there",
    ("shown.py", "_secrets_of", "ValueError"): "the log's own lines go through it; the address is cut by hand then",
    ("models/weights/places.py", "_home", "RuntimeError"): "a home is looked for at import, before anybody has set up the log",
    ("models/weights/places.py", "_substitute", "OSError"): "a home is looked for at import, before anybody has set up the log",
    ("confinement/__init__.py", "_close_descriptors", "OSError"): "the descriptor that lists them is closed by then, and stderr may be",
    ("frames/decode/child.py", "main", "MemoryError"): "it is told to the parent over the pipe",
    ("frames/decode/parent.py", "_Child.__init__", "OSError"): f"a smaller pipe works too; {_KEY}",
    ("frames/decode/parent.py", "_Child.next_message", "WireError"): f"how the subprocess ended is told after it; {_KEY}",
    ("frames/decode/picture_files.py", "_exif_orientation", "SyntaxError"): f"damaged metadata turns nothing; {_KEY}",
    ("frames/decode/picture_files.py", "_exif_orientation", "ValueError"): f"damaged metadata turns nothing; {_KEY}",
    ("frames/decode/picture_files.py", "_exif_orientation", "KeyError"): f"damaged metadata turns nothing; {_KEY}",
    ("frames/decode/picture_files.py", "_exif_orientation", "OSError"): f"damaged metadata turns nothing; {_KEY}",
    ("frames/decode/picture_files.py", "_exif_orientation", "IndexError"): f"damaged metadata turns nothing; {_KEY}",
    ("frames/decode/picture_files.py", "_srgb", "ImageCms.PyCMSError"): f"viewers ignore a damaged profile; {_KEY}",
    ("frames/decode/picture_files.py", "_srgb", "OSError"): f"viewers ignore a damaged profile; {_KEY}",
    ("frames/decode/picture_files.py", "_srgb", "ValueError"): f"viewers ignore a damaged profile; {_KEY}",
    ("frames/decode/picture_files.py", "_srgb", "TypeError"): f"viewers ignore a damaged profile; {_KEY}",
    ("frames/decode/views.py", "FrameViews._orientation_of", "KeyError"): f"it asks whether there is a matrix; {_KEY}",
    ("frames/decode/views.py", "FrameViews._orientation_of", "ValueError"): f"PyAV has no name for another kind of side data; {_KEY}",
    ("frames/store/entry.py", "_TableFile.abandon", "OSError"): f"a failed writer fails again; {_KEY}",
    ("frames/store/entry.py", "_TableFile.abandon", "pa.ArrowException"): f"a failed writer fails again; {_KEY}",
}
"""What may be swallowed: by module, function and exception, with the reason."""


def swallowed(source: str) -> list[tuple[str, str]]:
    """What a module swallows, as (function, exception): what each handler catches that neither raises nor uses the exception, what each
    `suppress` names, and each `ignore_errors` of `rmtree` and its like; without the answers."""
    found: list[tuple[str, str]] = []

    def look(node: ast.AST, where: str) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            where = f"{where}.{node.name}".removeprefix(".")
        kinds: list[ast.expr] = []
        if isinstance(node, ast.ExceptHandler):
            inside = [part for statement in node.body for part in ast.walk(statement)]
            used = any(isinstance(part, ast.Name) and part.id == node.name for part in inside)
            if not used and not any(isinstance(part, ast.Raise) for part in inside):
                kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type or ast.Name("everything")]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "suppress":
            kinds = node.args
        elif isinstance(node, ast.Call):
            ignoring = [word.arg for word in node.keywords if word.arg in IGNORING and ast.unparse(word.value) != "False"]
            kinds = [ast.Name(str(word)) for word in ignoring]
        names = [ast.unparse(kind) for kind in kinds]
        found.extend((where, name) for name in names if not {name, name.rpartition(".")[2]} & ANSWERS)
        for child in ast.iter_child_nodes(node):
            look(child, where)

    look(ast.parse(source), "")
    return found


@pytest.mark.parametrize("path", sorted(TREE.rglob("*.py")), ids=lambda path: path.relative_to(TREE).as_posix())
def test_what_is_caught_is_said(path: Path) -> None:
    name = path.relative_to(TREE).as_posix()
    found = swallowed(path.read_text(encoding="utf-8"))
    left = [one for one in found if (name, *one) not in EXEMPT]
    assert left == [], "log it with its ids: `logs.swallowed`, `disk.remove_tree`, or a line at debug level"


def test_every_exemption_is_needed() -> None:
    there = {
        (path.relative_to(TREE).as_posix(), *one) for path in TREE.rglob("*.py") for one in swallowed(path.read_text(encoding="utf-8"))
    }
    assert sorted(set(EXEMPT) - there) == []


def test_what_is_exempt_for_the_frames_key_is_part_of_it() -> None:
    for_it = {name for (name, _, _), reason in EXEMPT.items() if reason.endswith(_KEY)}
    assert for_it
    assert {name for name in for_it if not name.startswith("frames/") or name.removeprefix("frames/") in _WITHOUT_INFLUENCE} == set()


def test_the_look_for_swallowed_exceptions_finds_them() -> None:
    def names(source: str) -> list[str]:
        return [name for _, name in swallowed(source)]

    assert names("try:\n    f()\nexcept ValueError:\n    pass") == ["ValueError"]
    assert names("try:\n    f()\nexcept (OSError, queue.Empty) as e:\n    x = 1") == ["OSError"]
    assert names("try:\n    f()\nexcept:\n    pass") == ["everything"]
    assert names("with contextlib.suppress(RayError):\n    f()") == ["RayError"]
    assert names("try:\n    f()\nexcept ValueError as e:\n    log(e)") == []
    assert names("try:\n    f()\nexcept ValueError:\n    raise OSError") == []
    assert names("shutil.rmtree(path, ignore_errors=True)") == ["ignore_errors"]
    assert names("with TemporaryDirectory(ignore_cleanup_errors=yes) as path: pass") == ["ignore_cleanup_errors"]
    assert names("rmtree(path, ignore_errors=False)") == []


def test_the_look_says_in_which_function() -> None:
    source = "class A:\n    def f(self):\n        def g():\n            with suppress(OSError): pass\nwith suppress(KeyError): pass"
    assert swallowed(source) == [("A.f.g", "OSError"), ("", "KeyError")]
