"""The files for `ray up`: Ray and the clouds take them as they stand, and they start what is meant. No account is needed for that."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import botocore.session
import pytest
import ray.autoscaler
from botocore.validate import ParamValidator
from jsonschema import ValidationError
from ray.autoscaler._private.util import prepare_config, validate_config

from deployment import CPU_CELL, dockerfile, document, image_environment, nodes_started, ray_start_of
from rumiai_ray.config import Engine
from rumiai_ray.engine.setup.node_capacity import cells_beside_reading

CLOUDS = ("aws.yaml", "gcp.yaml")
CPU_CLOUDS = ("aws-cpu.yaml", "gcp-cpu.yaml")
ON_PREM = "on-prem.yaml"
FILES = (*CLOUDS, *CPU_CLOUDS, ON_PREM)
PROVIDER_KEYS = {
    "aws": {"type", "region", "cache_stopped_nodes"},
    "gcp": {"type", "project_id", "region", "availability_zone"},
    "local": {"type", "head_ip", "worker_ips"},
}
"""What each provider reads of what our file says: Ray's schema leaves `provider` open."""
GOOGLE_FIELDS = {
    "machineType": None,
    "disks": {"boot": None, "autoDelete": None, "type": None, "initializeParams": {"diskSizeGb": None, "sourceImage": None}},
    "guestAccelerators": {"acceleratorType": None, "acceleratorCount": None},
    "scheduling": {"onHostMaintenance": None, "automaticRestart": None, "provisioningModel": None, "instanceTerminationAction": None},
    "serviceAccounts": {"email": None, "scopes": None},
}
"""The fields of a Compute Engine instance that we use, by the reference of `instances.insert`."""


@pytest.fixture(params=FILES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def written(name: str) -> Any:
    """The file as it stands."""
    return document(name)


@pytest.fixture
def prepared(written: Any) -> Any:
    """The file with all that Ray adds to it."""
    return prepare_config(written)


def options(docker: Any) -> list[tuple[str, str]]:
    """Options of `docker run` on every node, as (name, value)."""
    return [(option, value) for option, _, value in (line.replace("=", " ", 1).partition(" ") for line in docker["run_options"])]


def variables(docker: Any) -> dict[str, str]:
    lines = [line.removeprefix("--env ").partition("=") for line in docker["run_options"] if line.startswith("--env ")]
    return {variable: value for variable, _, value in lines}


def test_ray_accepts_it(prepared: Any) -> None:
    validate_config(prepared)


def test_it_has_no_key_that_nobody_reads(written: Any) -> None:
    schema = json.loads((Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text())
    of_a_type = schema["properties"]["available_node_types"]["patternProperties"][".*"]["properties"]
    assert set(written["provider"]) == PROVIDER_KEYS[written["provider"]["type"]]
    for node_type in written.get("available_node_types", {}).values():
        assert set(node_type) <= set(of_a_type)


NODE_TYPES = [(0, "head"), (0, "gpu"), (0, "gpu_spot"), (1, "head"), (1, "cpu"), (1, "cpu_spot")]


@pytest.mark.parametrize(("file", "node_type"), NODE_TYPES)
def test_amazon_knows_every_field_of_a_node(file: int, node_type: str) -> None:
    asked = botocore.session.get_session().get_service_model("ec2").operation_model("RunInstances").input_shape
    node = document(("aws.yaml", "aws-cpu.yaml")[file])["available_node_types"][node_type]["node_config"]
    report = ParamValidator().validate(node | {"MinCount": 1, "MaxCount": 1}, asked)
    assert not report.has_errors(), report.generate_report()


@pytest.mark.parametrize(("file", "node_type"), NODE_TYPES)
def test_google_knows_every_field_of_a_node(file: int, node_type: str) -> None:
    def unknown(value: Any, fields: Any) -> list[str]:
        if isinstance(value, list):
            return [key for item in value for key in unknown(item, fields)]
        if not isinstance(value, dict):
            return []
        return [key for key in value if key not in (fields or {})] + [
            inner for key, below in value.items() if fields and key in fields for inner in unknown(below, fields[key])
        ]

    node = document(("gcp.yaml", "gcp-cpu.yaml")[file])["available_node_types"][node_type]["node_config"]
    assert unknown(node, GOOGLE_FIELDS) == []


@pytest.mark.parametrize(("name", "kind"), [("aws.yaml", "gpu"), ("aws-cpu.yaml", "cpu")])
def test_on_amazon_workers_cannot_start_machines_and_no_download_reaches_the_metadata_service(kind: str, written: Any) -> None:
    nodes = {name: kind["node_config"] for name, kind in written["available_node_types"].items()}
    assert nodes[kind]["IamInstanceProfile"] == nodes[f"{kind}_spot"]["IamInstanceProfile"] != nodes["head"]["IamInstanceProfile"]
    for node in nodes.values():
        assert node["MetadataOptions"] == {"HttpTokens": "required", "HttpPutResponseHopLimit": 1}
        assert node["SecurityGroupIds"]


@pytest.mark.parametrize("name", CLOUDS)
def test_gpu_nodes_come_with_waiting_cells_one_each_up_to_the_maximum_and_none_without(written: Any) -> None:
    assert [nodes_started(written, cells) for cells in (0, 1, 3, 9)] == [{}, {"gpu": 1}, {"gpu": 3}, {"gpu": 4}]


@pytest.mark.parametrize("name", CPU_CLOUDS)
def test_cpu_nodes_come_with_waiting_cells_four_each_up_to_the_maximum_and_none_without(written: Any) -> None:
    wanted = {0: {}, 1: {"cpu": 1}, 4: {"cpu": 1}, 5: {"cpu": 2}, 16: {"cpu": 4}, 40: {"cpu": 4}}
    assert {cells: nodes_started(written, cells, CPU_CELL) for cells in wanted} == wanted


@pytest.mark.parametrize("name", CPU_CLOUDS)
def test_a_cpu_node_reads_beside_the_cells_that_ray_places_there(written: Any) -> None:
    cpus, cell_cpus = written["available_node_types"]["cpu"]["resources"]["CPU"], CPU_CELL["CPU"]
    assert cells_beside_reading(cpus, cell_cpus) == int(cpus / cell_cpus) == 4


@pytest.mark.parametrize("name", CLOUDS)
def test_spot_nodes_take_over_when_their_maximum_is_raised(written: Any) -> None:
    types = written["available_node_types"]
    types["gpu"]["max_workers"], types["gpu_spot"]["max_workers"] = 0, 4
    assert nodes_started(written, 3) == {"gpu_spot": 3}


@pytest.mark.parametrize("name", CPU_CLOUDS)
def test_spot_nodes_without_a_gpu_take_over_when_their_maximum_is_raised(written: Any) -> None:
    types = written["available_node_types"]
    types["cpu"]["max_workers"], types["cpu_spot"]["max_workers"] = 0, 4
    assert nodes_started(written, 9, CPU_CELL) == {"cpu_spot": 3}


DIFFERS = [("aws.yaml", "InstanceMarketOptions"), ("gcp.yaml", "scheduling")]
DIFFERS += [(name.replace(".", "-cpu."), differs) for name, differs in DIFFERS]


@pytest.mark.parametrize(("name", "differs"), DIFFERS)
def test_a_spot_node_is_a_usual_node_at_another_price(written: Any, differs: str) -> None:
    _, usual, spot = written["available_node_types"].values()
    assert "spot" in json.dumps(spot["node_config"].pop(differs)).lower()
    usual["node_config"].pop(differs, None)
    assert {**spot, "max_workers": usual["max_workers"]} == usual


@pytest.mark.parametrize("name", [ON_PREM])
def test_on_prem_every_machine_of_the_list_joins_and_stays(written: Any) -> None:
    written["provider"]["worker_ips"] = ["10.0.0.11", "10.0.0.12"]
    prepared = prepare_config(written)
    (machines,) = prepared["available_node_types"].values()
    assert (machines["min_workers"], machines["max_workers"], prepared["max_workers"]) == (2, 2, 2)


def test_who_has_no_token_gets_nothing(written: Any) -> None:
    told = variables(written["docker"])
    (mounted,) = written["file_mounts"]
    assert told["RAY_AUTH_MODE"] == "token"
    assert told["RAY_AUTH_TOKEN_PATH"] == f"{mounted}/auth_token"
    assert ray_start_of(written["head_start_ray_commands"])["dashboard_host"] == "127.0.0.1"


def test_a_stopped_batch_has_time_to_commit_what_is_in_hand(written: Any) -> None:
    assert int(variables(written["docker"])["RAY_JOB_STOP_WAIT_TIME_S"]) >= 2 * Engine().drain_s


def test_nothing_is_reported_to_ray(written: Any) -> None:
    # `ray up` itself sets the variable for the head's start command, by the machine it is called on; the option has the last word.
    assert variables(written["docker"])["RAY_USAGE_STATS_ENABLED"] == "0"
    assert ray_start_of(written["head_start_ray_commands"])["disable_usage_stats"] is True


def test_every_option_of_the_container_is_one_that_docker_has(name: str, written: Any) -> None:
    known = {"--ulimit", "--shm-size", "--env", "--volume", "--gpus"}
    assert {option for option, _ in options(written["docker"])} <= known
    assert written["docker"]["worker_run_options"] == ([] if name in CPU_CLOUDS else ["--gpus all"])


def test_the_head_only_schedules_and_workers_join_it(written: Any) -> None:
    head, worker = (ray_start_of(written[f"{role}_start_ray_commands"]) for role in ("head", "worker"))
    assert (head["head"], head["num_cpus"], head["autoscaling_config"]) == (True, 0, "~/ray_bootstrap_config.yaml")
    assert (worker["head"], worker["address"], worker["num_cpus"]) == (False, "$RAY_HEAD_IP:6379", None)
    assert head["port"] == 6379


def test_objects_fit_in_shared_memory_and_spill_where_the_image_has_a_place(written: Any) -> None:
    shared_bytes = int(dict(options(written["docker"]))["--shm-size"].removesuffix("g")) * 2**30
    made = next(rest for name, rest in dockerfile() if name == "RUN" and "install --directory" in rest)
    for role in ("head", "worker"):
        started = ray_start_of(written[f"{role}_start_ray_commands"])
        assert 1e9 <= started["object_store_memory"] < shared_bytes
        assert started["object_spilling_directory"] in made.split()


def test_nothing_is_installed_when_a_node_starts(prepared: Any) -> None:
    for step in ("setup_commands", "head_setup_commands", "worker_setup_commands"):
        assert prepared[step] == []
    assert all(command.startswith("mkdir -p ") for command in prepared["initialization_commands"])


def test_what_on_prem_mounts_is_made_first_and_is_where_the_image_looks() -> None:
    written = document("on-prem.yaml")
    volumes = dict(value.split(":")[::-1] for option, value in options(written["docker"]) if option == "--volume")
    assert written["initialization_commands"] == [f"mkdir -p {volumes[image_environment()['RUMIAI_STORE']]}"]


def test_all_start_the_same_container_but_for_gpus_and_for_what_on_prem_mounts() -> None:
    first, *others = (document(name)["docker"] for name in FILES)
    for docker in others:
        rest = {**docker, "run_options": [line for line in docker["run_options"] if not line.startswith("--volume ")]}
        assert {**rest, "worker_run_options": first["worker_run_options"]} == first


def test_ray_refuses_a_misspelt_key(prepared: Any) -> None:
    prepared["head_start_ray_comands"] = prepared.pop("head_start_ray_commands")
    with pytest.raises(ValidationError, match="head_start_ray_comands"):
        validate_config(prepared)
