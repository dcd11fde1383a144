"""What a driver brings to a cluster. `ray.init` is replaced; Ray's own merging of environments is not."""

from __future__ import annotations

import contextlib
import json
import os
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import ray
from ray._private.runtime_env.constants import RAY_JOB_CONFIG_JSON_ENV_VAR
from ray.runtime_env.runtime_env import _merge_runtime_env

from rumiai_ray.config import load_config
from rumiai_ray.engine.ray_session import session
from rumiai_ray.logs import VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def brought(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, Any] | None], dict[str, Any]]:
    """The runtime environment that a run's workers have: outside a job, or in one that was submitted with this environment."""

    def connect(of_job: Any) -> dict[str, Any]:
        seen: list[dict[str, Any]] = []

        def init(**options: Any) -> None:
            merged = _merge_runtime_env(of_job, options["runtime_env"], override=os.getenv("RAY_OVERRIDE_JOB_RUNTIME_ENV") == "1")
            assert merged is not None, "Ray refuses a variable that both name"
            seen.append(merged)

        if of_job is None:
            monkeypatch.delenv(RAY_JOB_CONFIG_JSON_ENV_VAR, raising=False)
        else:
            monkeypatch.setenv(RAY_JOB_CONFIG_JSON_ENV_VAR, json.dumps({"runtime_env": of_job}))
        monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:6379")
        monkeypatch.setattr(session, "check_address", lambda: None)
        monkeypatch.setattr(session, "watching_cluster", lambda _: contextlib.nullcontext())
        monkeypatch.setattr(ray, "init", init)
        monkeypatch.setattr(ray, "shutdown", lambda: None)
        monkeypatch.setattr(ray, "get_runtime_context", lambda: SimpleNamespace(gcs_address=""))
        with session.connected(load_config()):
            pass
        return seen[0]

    return connect


@pytest.mark.parametrize("of_job", [None, {}, {"working_dir": "gcs://x.zip", "env_vars": {"RUMIAI_OUT": "/shared/runs"}}])
def test_every_worker_on_a_cluster_is_told_how_much_to_log(
    monkeypatch: pytest.MonkeyPatch, brought: Callable[[dict[str, Any] | None], dict[str, Any]], of_job: dict[str, Any] | None
) -> None:
    monkeypatch.setenv(VARIABLE, "debug")
    environment = brought(of_job)
    assert environment["env_vars"] == {**(of_job or {}).get("env_vars", {}), VARIABLE: "debug"}
    if of_job is None:
        assert environment["working_dir"].endswith("/code")
    else:
        assert environment.get("working_dir") == of_job.get("working_dir"), "a job's workers import what was submitted"


def test_a_verbose_job_says_more_than_its_own_environment_asks_for(
    monkeypatch: pytest.MonkeyPatch, brought: Callable[[dict[str, Any] | None], dict[str, Any]]
) -> None:
    monkeypatch.setenv(VARIABLE, "debug")  # what `--verbose` leaves there
    assert brought({"env_vars": {VARIABLE: "info"}}) == {"env_vars": {VARIABLE: "debug"}}
    assert "RAY_OVERRIDE_JOB_RUNTIME_ENV" not in os.environ, "only for the moment of connecting"


def test_nothing_is_brought_to_a_job_where_nothing_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, brought: Callable[[dict[str, Any] | None], dict[str, Any]]
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert brought({}) == {}
