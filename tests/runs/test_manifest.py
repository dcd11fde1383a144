from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from rumiai_ray import confinement
from rumiai_ray.confinement import Available
from rumiai_ray.errors import ConfigError, StorageError
from rumiai_ray.models.base import ModelPlan, ModelSettings
from rumiai_ray.provenance import source_sha256
from rumiai_ray.runs import manifest as manifest_module
from rumiai_ray.runs.fingerprint import differences
from rumiai_ray.runs.manifest import ClusterRecord, RunManifest
from rumiai_ray.settings import execution, result
from synthetic_run import manifest

if TYPE_CHECKING:
    from pathlib import Path


class YoloSettings(ModelSettings):
    confidence: float = result(0.25, "least confidence")


class Config(BaseModel):
    language: str = result("en", "language of the texts")
    cells: int = execution(2, "cells")


def of_now(tmp_path: Path, config: Config, settings: YoloSettings, device: str = "cuda:0", digest: str = "d" * 64) -> RunManifest:
    plan = ModelPlan(
        name="yolo", backend="ultralytics/yolo11n", version="8.4.0", stand_in=False, files={"network": tmp_path / "yolo11n.pt"},
        digests={"network": digest}, weights_sha256=digest, device=device, precision="fp16", settings=settings,
    )  # fmt: skip
    return RunManifest.of_now("run-1", command=["rumiai-ray"], config=config, plans=[plan], sampling={"fps": 5})


def test_a_manifest_survives_being_written_and_read() -> None:
    written = manifest(cluster=ClusterRecord(ray_version="2.60.0", nodes=1, resources={"CPU": 2.0}))
    assert RunManifest.from_json(written.to_json(), "manifest.json") == written


def test_a_manifest_says_what_runs_now_and_names_files_without_their_directories(tmp_path: Path) -> None:
    made = of_now(tmp_path, Config(), YoloSettings())
    assert made.source_sha256 == source_sha256()
    assert made.packages["pyarrow"]
    assert made.models[0].files[0].name == "yolo11n.pt"
    assert str(tmp_path) not in made.to_json().decode()
    assert made.tables["objects"] >= 1


def test_a_manifest_names_the_layers_of_the_sandbox_that_the_kernel_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = of_now(tmp_path, Config(), YoloSettings())
    lacking = Available(0, seccomp=True, reasons=(("Landlock", "the kernel does not offer it: Operation not supported"),))
    monkeypatch.setattr(confinement, "available", lambda: lacking)
    monkeypatch.setattr(manifest_module, "available", lambda: lacking)
    made = of_now(tmp_path, Config(), YoloSettings())
    assert made.sandbox is not None
    assert (made.sandbox.landlock_abi, made.sandbox.seccomp) == (0, True)
    assert made.sandbox.missing == ("Landlock: the kernel does not offer it: Operation not supported",)
    assert RunManifest.from_json(made.to_json(), "manifest.json").sandbox == made.sandbox
    assert made.fingerprint == whole.fingerprint, "a run may be resumed on a machine with another kernel"


def test_what_cannot_change_a_result_leaves_the_fingerprint_alone(tmp_path: Path) -> None:
    first = of_now(tmp_path, Config(), YoloSettings())
    second = of_now(tmp_path / "elsewhere", Config(cells=8), YoloSettings(threads=4), device="cuda:1")
    assert first.fingerprint == second.fingerprint
    assert differences(first.result_parts(), second.result_parts()) == []


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"config": Config(language="pt")}, "result_settings.language: en | pt"),
        ({"settings": YoloSettings(confidence=0.4)}, "models.yolo.settings.confidence: 0.25 | 0.4"),
        ({"device": "cpu"}, "models.yolo.device: cuda | cpu"),
        ({"digest": "e" * 64}, f"models.yolo.weights.network: {'d' * 64} | {'e' * 64}"),
    ],
)
def test_what_can_change_a_result_changes_the_fingerprint_and_is_shown_side_by_side(
    tmp_path: Path, changes: dict[str, Any], shown: str
) -> None:
    plain: dict[str, Any] = {"config": Config(), "settings": YoloSettings()}
    before, now = of_now(tmp_path, **plain), of_now(tmp_path, **(plain | changes))
    assert before.fingerprint != now.fingerprint
    assert differences(before.result_parts(), now.result_parts()) == [shown]


@pytest.mark.parametrize("part", ["source_sha256", "packages", "sampling"])
def test_source_packages_and_sampling_are_part_of_the_fingerprint(part: str) -> None:
    other: dict[str, Any] = {"source_sha256": "b" * 64, "packages": {"python": "3.12.0"}, "sampling": {"fps": 2}}
    assert manifest().fingerprint != manifest(**{part: other[part]}).fingerprint


def test_an_update_of_yt_dlp_is_recorded_and_leaves_the_fingerprint_alone() -> None:
    before, now = (manifest(packages={"python": "3.11.9", "yt-dlp": version}) for version in ("2026.10.26", "2026.11.20"))
    assert before.fingerprint == now.fingerprint == manifest(packages={"python": "3.11.9"}).fingerprint
    assert differences(before.result_parts(), now.result_parts()) == []
    assert RunManifest.from_json(now.to_json(), "manifest.json").packages["yt-dlp"] == "2026.11.20"


def test_a_part_that_only_one_side_has_is_shown_as_absent() -> None:
    assert differences(manifest().result_parts(), manifest(packages={}).result_parts()) == ["packages.python: 3.11.9 | —"]


def test_a_manifest_of_a_later_version_that_only_added_keys_can_be_read() -> None:
    later = manifest().to_json().replace(b'"run_id"', b'"added_later": 1,\n  "run_id"', 1)
    assert RunManifest.from_json(later, "manifest.json") == manifest()


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"run_id": "x"}', b"\xff\xfe"])
def test_a_damaged_manifest_is_a_storage_error_that_names_the_file(damage: bytes) -> None:
    with pytest.raises(StorageError, match=r"runs/x/manifest\.json"):
        RunManifest.from_json(damage, "runs/x/manifest.json")


def test_a_manifest_of_an_unknown_format_is_refused() -> None:
    with pytest.raises(StorageError, match="format 2"):
        RunManifest.from_json(manifest(format_version=2).to_json(), "manifest.json")


def test_a_manifest_cannot_carry_an_id_that_is_a_path() -> None:
    with pytest.raises(ConfigError, match="not a run id"):
        manifest("../other")
