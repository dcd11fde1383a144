"""What a submitted batch takes along: Ray takes it, every variable is a setting, and the code it needs is not left behind."""

from __future__ import annotations

import re

import pytest
from ray._private.runtime_env.packaging import _get_excludes
from ray.runtime_env import RuntimeEnv

from deployment import CLUSTER, CPU_CELL, GPU_CELL, ROOT, document
from rumiai_ray.config import Engine, load_config
from rumiai_ray.engine.setup.node_capacity import cells_beside_reading, reading_cpus

FILES = ("runtime_env.yaml", "runtime_env-cpu.yaml")


@pytest.mark.parametrize("file", FILES)
def test_ray_takes_it_and_knows_every_field(file: str) -> None:
    environment = RuntimeEnv(**document(file))
    assert set(environment) == {"env_vars", "excludes"}
    assert set(environment) <= RuntimeEnv.known_fields


@pytest.mark.parametrize(("file", "cell"), [(FILES[0], GPU_CELL), (FILES[1], CPU_CELL)])
def test_every_variable_is_a_setting_and_its_value_one_that_is_allowed(
    file: str, cell: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in document(file)["env_vars"].items():
        monkeypatch.setenv(name, value)
    config = load_config()
    assert config.engine.cell_cpus == cell["CPU"]
    assert config.device == ("cuda" if "GPU" in cell else "cpu")
    assert config.out.startswith("s3://")
    assert config.store_remote is not None
    assert config.store_remote.startswith("s3://")


def test_there_is_a_cell_for_every_gpu_that_a_cluster_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUMIAI_ENGINE_CELLS", document("runtime_env.yaml")["env_vars"]["RUMIAI_ENGINE_CELLS"])
    cells = load_config().engine.cells
    assert [document(name)["available_node_types"]["gpu"]["max_workers"] for name in ("aws.yaml", "gcp.yaml")] == [cells, cells]
    assert document("kuberay/raycluster.yaml")["spec"]["workerGroupSpecs"][0]["maxReplicas"] == cells


def test_there_are_as_many_cells_without_gpus_as_all_nodes_hold_beside_reading() -> None:
    told = document("runtime_env-cpu.yaml")["env_vars"]
    for name in ("aws-cpu.yaml", "gcp-cpu.yaml"):
        nodes = document(name)["available_node_types"]["cpu"]
        each = cells_beside_reading(nodes["resources"]["CPU"], CPU_CELL["CPU"])
        assert int(told["RUMIAI_ENGINE_CELLS"]) == each * nodes["max_workers"]
        assert int(told["RUMIAI_ENGINE_EXTRACT_TASKS"]) == reading_cpus(nodes["resources"]["CPU"]) * nodes["max_workers"]


def test_the_cells_named_for_kuberay_are_as_many_as_its_pods_hold_beside_reading() -> None:
    text = (CLUSTER / "runtime_env-cpu.yaml").read_text(encoding="utf-8")
    instead = re.findall(r'^  # RUMIAI_ENGINE_CELLS: "(\d+)"  # .*kuberay/raycluster-cpu\.yaml', text, re.MULTILINE)
    (pods,) = document("kuberay/raycluster-cpu.yaml")["spec"]["workerGroupSpecs"]
    cpus = float(pods["template"]["spec"]["containers"][0]["resources"]["limits"]["cpu"])
    assert instead == [str(cells_beside_reading(cpus, CPU_CELL["CPU"]) * pods["maxReplicas"])]
    told = document("runtime_env-cpu.yaml")["env_vars"]
    assert int(told["RUMIAI_ENGINE_EXTRACT_TASKS"]) == reading_cpus(cpus) * pods["maxReplicas"]
    header = (CLUSTER / "kuberay" / "raycluster-cpu.yaml").read_text(encoding="utf-8").partition("apiVersion")[0]
    assert f'RUMIAI_ENGINE_CELLS: "{instead[0]}"' in header


@pytest.mark.parametrize("file", FILES)
def test_a_stopped_batch_has_time_to_commit_what_is_in_hand(file: str) -> None:
    assert int(document(file)["env_vars"]["RAY_JOB_STOP_WAIT_TIME_S"]) >= 2 * Engine().drain_s


@pytest.mark.parametrize("file", FILES)
def test_the_package_and_the_entry_points_are_uploaded_and_the_tests_are_not(file: str) -> None:
    excluded = _get_excludes(ROOT, document(file)["excludes"])
    needed = [ROOT / "pyproject.toml", *(ROOT / "rumiai_ray").rglob("*.py"), *(ROOT / "jobs").glob("*.py")]
    assert not [path for path in needed if excluded(path)]
    # The folder itself, not only what is in it: Ray walks into every folder that it keeps.
    assert excluded(ROOT / "tests")
