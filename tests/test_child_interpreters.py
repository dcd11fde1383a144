"""Child interpreters do not import what lies in the directory that a command is called in: a `types.py` there would end every run."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from decoded import decoded
from synthetic_clips import grid_times_s, make_clip

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = sorted(path for place in ("rumiai_ray", "jobs") for path in (ROOT / place).rglob("*.py"))


def interpreter_starts(source: str) -> list[tuple[int, bool]]:
    """Command lines that begin with this interpreter: (line, whether `-P` comes next)."""
    tree = ast.parse(source)
    named = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.List | ast.Tuple) and node.elts and ast.unparse(node.elts[0]) == "sys.executable":
            following = node.elts[1] if len(node.elts) > 1 else None
            if isinstance(following, ast.Starred) and isinstance(following.value, ast.Name):
                options = named.get(following.value.id)
                following = options.elts[0] if isinstance(options, ast.List | ast.Tuple) and options.elts else None
            found.append((node.lineno, isinstance(following, ast.Constant) and following.value == "-P"))
    return found


def test_every_child_interpreter_is_started_without_the_working_directory_on_its_path() -> None:
    starts = {path.relative_to(ROOT).as_posix(): interpreter_starts(path.read_text(encoding="utf-8")) for path in PROGRAMS}
    assert {"rumiai_ray/frames/decode/parent.py", "rumiai_ray/engine/ray_session/local_head.py"} <= {
        name for name, all_ in starts.items() if all_
    }
    assert [f"{name}:{line}" for name, all_ in starts.items() for line, is_safe in all_ if not is_safe] == []


@pytest.mark.parametrize(
    ("source", "is_safe"),
    [
        ("run([sys.executable, '-P', '-m', 'x'])", True),
        ("run([sys.executable, '-m', 'x'])", False),
        ("OPTIONS = ('-P', '-m')\nrun((sys.executable, *OPTIONS))", True),
        ("OPTIONS = ('-S', '-P')\nrun((sys.executable, *OPTIONS))", False),
    ],
)
def test_the_watch_tells_them_apart(source: str, is_safe: bool) -> None:  # noqa: FBT001 -- a parameter of the test
    assert [safe for _, safe in interpreter_starts(source)] == [is_safe]


def test_a_module_of_the_standard_librarys_name_in_the_working_directory_does_not_reach_the_decoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = make_clip(tmp_path / "clip.mp4", grid_times_s(10, 1.0))
    for name in ("types", "enum", "json", "numpy", "av"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the file of a stranger was imported')\n")
    monkeypatch.chdir(tmp_path)
    assert decoded(clip).facts.frames_decoded == 10
