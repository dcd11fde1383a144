"""The manifests for KubeRay: its fields and Kubernetes' are spelt right, and Ray's autoscaler does with them what is meant."""

from __future__ import annotations

import copy
import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import typer
import yaml
from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr
from ray.runtime_env import RuntimeEnv

from deployment import ROOT, document, image_environment, nodes_started, ray_start
from rumiai_ray.cli.app import command_line
from rumiai_ray.config import BaseConfig, Engine

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA = json.loads((Path(__file__).parent / "kuberay.schema.json").read_text())
FILES = ("kuberay/raycluster.yaml", "kuberay/rayjob.yaml")


def cluster() -> Any:
    return document("kuberay/raycluster.yaml")["spec"]


def job() -> Any:
    return document("kuberay/rayjob.yaml")["spec"]


def groups() -> list[Any]:
    """The head's group and the workers'."""
    return [cluster()["headGroupSpec"], *cluster()["workerGroupSpecs"]]


def containers() -> list[Any]:
    return [container for group in groups() for container in group["template"]["spec"]["containers"]]


def mappings(value: Any) -> Iterator[dict[str, Any]]:
    """Every mapping in `value` whose keys the schema knows by name."""
    if isinstance(value, list):
        for item in value:
            yield from mappings(item)
    elif isinstance(value, dict):
        yield value
        for key, below in value.items():
            if key != "rayStartParams":
                yield from mappings(below)


@pytest.mark.parametrize("file", FILES)
def test_every_field_is_one_that_the_schema_knows(file: str) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(document(file), SCHEMA)


@pytest.mark.parametrize("file", FILES)
def test_no_field_at_any_depth_could_be_misspelt_unnoticed(file: str) -> None:
    written = document(file)
    valid = jsonschema.Draft202012Validator(SCHEMA).is_valid
    for mapping in mappings(written):
        for key in list(mapping):
            kept = copy.copy(mapping)
            mapping[f"{key}s"] = mapping.pop(key)
            assert not valid(written), key
            mapping.clear()
            mapping.update(kept)
    assert valid(written)


def test_who_has_no_token_gets_nothing() -> None:
    assert cluster()["authOptions"] == {"mode": "token"}


def test_gpu_pods_come_with_waiting_cells_one_each_up_to_the_maximum_and_none_without() -> None:
    assert cluster()["enableInTreeAutoscaling"] is True
    assert cluster()["autoscalerOptions"]["version"] == "v2"
    written = document("kuberay/raycluster.yaml")
    written["metadata"]["namespace"] = "default"
    config = _derive_autoscaling_config_from_ray_cr(written)
    assert [nodes_started(config, cells) for cells in (0, 1, 3, 9)] == [{}, {"gpu": 1}, {"gpu": 3}, {"gpu": 4}]


def test_no_pod_is_started_twice_and_none_is_root() -> None:
    for group in groups():
        pod = group["template"]["spec"]
        assert pod["restartPolicy"] == "Never"
        assert pod["securityContext"] == {"runAsNonRoot": True, "runAsUser": 1000}


def test_ray_knows_every_start_parameter() -> None:
    head, worker = (ray_start([f"--{name}={value}" for name, value in group["rayStartParams"].items()]) for group in groups())
    assert head["num_cpus"] == 0
    assert worker["num_cpus"] is None
    assert head["object_store_memory"] < worker["object_store_memory"]


def test_ray_is_the_version_of_the_image() -> None:
    pins = (ROOT / "cluster/constraints.txt").read_text().splitlines()
    assert f"ray=={cluster()['rayVersion']}" in pins


def test_weights_are_mounted_read_only_on_every_node_where_the_image_looks_for_them() -> None:
    image = image_environment()
    weights = {"name": "weights", "mountPath": image["RUMIAI_WEIGHTS_DIR"], "readOnly": True}
    assert all(weights in container["volumeMounts"] for container in containers())
    assert {"name": "frames", "mountPath": image["RUMIAI_STORE"]} in containers()[1]["volumeMounts"]


def test_every_mount_has_its_volume_and_frames_and_spilled_objects_have_room() -> None:
    for group in groups():
        pod = group["template"]["spec"]
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        assert {mount["name"] for mount in pod["containers"][0]["volumeMounts"]} == set(volumes)
    room_gib = int(volumes["frames"]["emptyDir"]["sizeLimit"].removesuffix("Gi"))
    assert room_gib * 2**30 > BaseConfig().store_max_gb * 1e9
    (spill,) = [mount["mountPath"] for mount in containers()[1]["volumeMounts"] if mount["name"] == "spill"]
    assert groups()[1]["rayStartParams"]["object-spilling-directory"] == spill


def test_a_stopped_batch_has_time_to_commit_and_nothing_is_reported_to_ray() -> None:
    for container in containers():
        told = {variable["name"]: variable["value"] for variable in container["env"]}
        assert int(told["RAY_JOB_STOP_WAIT_TIME_S"]) >= 2 * Engine().drain_s
        assert told["RAY_USAGE_STATS_ENABLED"] == "0"


def test_the_cluster_of_a_job_is_the_standing_one() -> None:
    assert job()["rayClusterSpec"] == cluster()


def test_a_failed_job_is_not_repeated_and_its_cluster_goes() -> None:
    assert job()["backoffLimit"] == 0
    assert job()["shutdownAfterJobFinishes"] is True


def test_a_job_gets_the_environment_that_every_batch_gets() -> None:
    environment = RuntimeEnv(**yaml.safe_load(job()["runtimeEnvYAML"]))
    assert environment == {"env_vars": document("runtime_env.yaml")["env_vars"]}


def test_the_job_is_a_command_this_release_has() -> None:
    program, verb, *arguments = shlex.split(job()["entrypoint"])
    commands = typer.main.get_command(command_line()).commands  # type: ignore[attr-defined]  # it is a group
    parameters = commands[verb].make_context(verb, arguments).params
    assert program == "rumiai-ray"
    assert parameters["manifest"].endswith("/videos.csv")
    assert parameters["run_id"]
