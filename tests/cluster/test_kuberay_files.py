"""The manifests for KubeRay: its fields and Kubernetes' are spelt right, and Ray's autoscaler does with them what is meant."""

from __future__ import annotations

import copy
import ipaddress
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

from deployment import CPU_CELL, ROOT, document, image_environment, nodes_started, ray_start
from rumiai_ray.cli.app import command_line
from rumiai_ray.config import BaseConfig, Engine
from rumiai_ray.engine.setup.node_capacity import cells_beside_reading
from rumiai_ray.ingest.addresses import is_public

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA = json.loads((Path(__file__).parent / "kuberay.schema.json").read_text())
FILES = ("kuberay/raycluster.yaml", "kuberay/rayjob.yaml", "kuberay/raycluster-cpu.yaml")


def cluster() -> Any:
    return document("kuberay/raycluster.yaml")["spec"]


def job() -> Any:
    return document("kuberay/rayjob.yaml")["spec"]


def groups() -> list[Any]:
    """The head's group and the workers'."""
    return [cluster()["headGroupSpec"], *cluster()["workerGroupSpecs"]]


def submitter() -> Any:
    """The template of the pod that submits the job."""
    return job()["submitterPodTemplate"]


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


def test_the_cluster_without_gpus_differs_in_its_pods_resources_alone() -> None:
    gpu, cpu = document(FILES[0]), document(FILES[2])
    (gpu_pods,), (cpu_pods,) = gpu["spec"]["workerGroupSpecs"], cpu["spec"]["workerGroupSpecs"]
    assert (gpu["metadata"].pop("name"), cpu["metadata"].pop("name")) == ("rumiai", "rumiai-cpu")
    assert (gpu_pods.pop("groupName"), cpu_pods.pop("groupName")) == ("gpu", "cpu")
    assert gpu_pods["template"]["spec"].pop("tolerations")
    for amounts in gpu_pods["template"]["spec"]["containers"][0]["resources"].values():
        del amounts["nvidia.com/gpu"]
    assert cpu == gpu


def test_cpu_pods_come_with_waiting_cells_and_read_beside_them() -> None:
    written = document(FILES[2])
    written["metadata"]["namespace"] = "default"
    config = _derive_autoscaling_config_from_ray_cr(written)
    assert [nodes_started(config, cells, CPU_CELL) for cells in (0, 1, 16, 99)] == [{}, {"cpu": 1}, {"cpu": 4}, {"cpu": 4}]
    assert cells_beside_reading(config["available_node_types"]["cpu"]["resources"]["CPU"], CPU_CELL["CPU"]) == 3


def test_no_pod_is_started_twice_and_none_is_root() -> None:
    for template in [group["template"] for group in groups()] + [submitter()]:
        pod = template["spec"]
        assert pod["restartPolicy"] == "Never"
        wanted = {"runAsNonRoot": True, "runAsUser": 1000, "fsGroup": 1000, "seccompProfile": {"type": "RuntimeDefault"}}
        assert pod["securityContext"] == wanted


def test_no_container_gets_more_rights_than_it_starts_with() -> None:
    confined = [*containers(), *submitter()["spec"]["containers"], cluster()["autoscalerOptions"]]
    for context in [each["securityContext"] for each in confined]:
        assert context == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def test_only_the_autoscaler_can_talk_to_kubernetes() -> None:
    for template in [group["template"] for group in groups()] + [submitter()]:
        assert template["spec"]["automountServiceAccountToken"] is False
    (mount,) = cluster()["autoscalerOptions"]["volumeMounts"]
    assert mount["mountPath"] == "/var/run/secrets/kubernetes.io/serviceaccount"
    assert not any(mount["name"] == other["name"] for container in containers() for other in container["volumeMounts"])


def test_keys_of_the_bucket_are_in_a_file_and_in_no_environment() -> None:
    for group, container in zip(groups(), containers(), strict=True):
        assert "envFrom" not in container
        told = {variable["name"]: variable["value"] for variable in container["env"]}
        (keys,) = [volume for volume in group["template"]["spec"]["volumes"] if "secret" in volume]
        (path,) = [mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] == keys["name"]]
        assert told["AWS_SHARED_CREDENTIALS_FILE"] == f"{path}/credentials"
        assert not any("KEY" in name or "TOKEN" in name for name in told)
        assert keys["secret"]["defaultMode"] == 0o440


def test_the_pod_that_submits_has_no_keys_and_its_command_is_the_operators() -> None:
    (container,) = submitter()["spec"]["containers"]
    assert "command" not in container
    assert "args" not in container
    assert container["image"] == containers()[0]["image"]
    assert {variable["name"] for variable in container["env"]} == {"RAY_USAGE_STATS_ENABLED"}
    assert not {"volumes"} & set(submitter()["spec"])
    assert "volumeMounts" not in container


@pytest.mark.parametrize(("file", "kind"), [(FILES[0], "RayCluster"), (FILES[1], "RayJob"), (FILES[2], "RayCluster")])
def test_the_operators_own_schema_accepts_it(file: str, kind: str) -> None:
    path = ROOT.parent / f"shared/kuberay/{kind}.v1.schema.json"
    if not path.is_file():
        pytest.skip(f"{path.name} is not there")
    jsonschema.validate(document(file), json.loads(path.read_text()))


def policies() -> list[Any]:
    return list(yaml.safe_load_all((ROOT / "cluster/kuberay/networkpolicy.yaml").read_text()))


def test_pods_connect_to_no_address_that_a_fetch_would_refuse() -> None:
    everybody, *_ = policies()
    (blocks,) = [[to["ipBlock"] for to in rule["to"]] for rule in everybody["spec"]["egress"] if "ipBlock" in rule.get("to", [{}])[0]]
    closed = [ipaddress.ip_network(network) for network in blocks[0]["except"]]
    for address in (
        "10.0.0.1",
        "169.254.169.254",
        "172.31.0.1",
        "192.168.1.1",
        "100.100.100.200",
        "161.26.0.10",
        "166.9.0.1",
        "168.63.129.16",
    ):
        assert not is_public(address)
        assert any(ipaddress.ip_address(address) in network for network in closed), address
    assert [block["cidr"] for block in blocks] == ["0.0.0.0/0", "2000::/3"]


def test_the_policies_meet_every_pod_of_both_files() -> None:
    everybody, heads, submitters = policies()
    head, worker = (group["template"] for group in groups())
    for policy, template in ((everybody, head), (everybody, worker), (heads, head), (submitters, submitter())):
        wanted = {name: value for name, value in policy["spec"]["podSelector"]["matchLabels"].items() if not name.startswith("ray.io/")}
        assert template["metadata"]["labels"] == wanted


def test_the_pod_that_submits_reaches_the_dashboard_and_names_alone() -> None:
    *_, submitters = policies()
    assert submitters["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in submitters["spec"]
    dashboard, names = submitters["spec"]["egress"]
    assert dashboard["to"] == [{"podSelector": {"matchLabels": {"rumiai": "node", "ray.io/node-type": "head"}}}]
    assert [port["port"] for port in dashboard["ports"]] == [8265]
    assert {port["port"] for port in names["ports"]} == {53}


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
    head, *workers = groups()
    for group in (head, *workers):
        pod = group["template"]["spec"]
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        mounts = pod["containers"][0]["volumeMounts"]
        if group is head:
            mounts = mounts + cluster()["autoscalerOptions"]["volumeMounts"]
        assert {mount["name"] for mount in mounts} == set(volumes)
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
