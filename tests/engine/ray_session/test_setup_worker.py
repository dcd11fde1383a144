"""What sets up a worker does what Ray's own program does, and imports nothing for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ray._private.runtime_env.context import RuntimeEnvContext
from ray.core.generated.common_pb2 import Language  # type: ignore[attr-defined]  # generated

from rumiai_ray.engine.ray_session import setup_worker

WORKER = ["/somewhere/ray/default worker.py", "--node-ip-address=127.0.0.1", "--redis-address=", "--runtime-env-hash=-12", "--a=it's $HOME"]


class BecomesAnotherError(Exception):
    """Instead of another program."""


@pytest.mark.parametrize(
    "context",
    [
        {},
        {"env_vars": {"OMP_NUM_THREADS": "1", "PYTHONPATH": "/code:${PYTHONPATH}", "GONE": "a${NOT_SET}b$ALSO_NOT", "EMPTY": ""}},
        {"command_prefix": ["cd", "'/a b/c'", "&&"], "py_executable": "/other/python -I"},
        {"override_worker_entrypoint": "/in/a/container.py", "env_vars": None, "java_jars": []},
    ],
)
def test_a_worker_gets_the_command_and_the_variables_that_ray_would_give_it(
    context: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def become(file: str, args: list[str]) -> None:
        raise BecomesAnotherError(file, args, dict(os.environ))

    told = RuntimeEnvContext(**context).serialize()
    with monkeypatch.context() as patch:
        patch.setattr(os, "execvp", become)
        patch.setattr(os, "environ", {**os.environ, "PYTHONPATH": "/before"})
        with pytest.raises(BecomesAnotherError) as wanted:
            RuntimeEnvContext(**json.loads(told)).exec_worker(list(WORKER), Language.PYTHON)
    with monkeypatch.context() as patch:
        patch.setattr(os, "execvp", become)
        patch.setattr(os, "environ", {**os.environ, "PYTHONPATH": "/before"})
        with pytest.raises(BecomesAnotherError) as found:
            setup_worker.main([*WORKER, "--language=PYTHON", f"--serialized-runtime-env-context={told}"])
    assert found.value.args == wanted.value.args


def test_a_program_without_an_environment_is_started_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr(os, "execvp", lambda _file, args: commands.append(args))
    setup_worker.main(["-m", "ray.util.client.server", "--address=127.0.0.1:1", "--language=PYTHON"])
    assert commands == [["bash", "-c", f"exec {sys.executable} -m ray.util.client.server --address=127.0.0.1:1"]]


def test_a_copy_becomes_the_worker_without_importing_ray_or_this_package(tmp_path: Path) -> None:
    copy = tmp_path / "setup_worker.py"
    copy.write_bytes(Path(setup_worker.__file__).read_bytes())
    worker = tmp_path / "worker.py"
    worker.write_text("import json, os, sys\nprint(json.dumps([sys.argv[1:], os.getcwd(), os.environ['NEW']]))\n")
    context = json.dumps({"env_vars": {"NEW": "a 'b' é"}, "command_prefix": ["cd", str(tmp_path), "&&"]})
    command = [sys.executable, "-v", str(copy), str(worker), "--x=y z", f"--serialized-runtime-env-context={context}"]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(ended.stdout) == [["--x=y z"], str(tmp_path), "a 'b' é"]
    assert "import 'json'" in ended.stderr
    assert not [line for line in ended.stderr.splitlines() if line.startswith(("import 'ray", "import 'rumiai_ray", "import 'numpy"))]
