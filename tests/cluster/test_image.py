"""The image's recipe is held against what it repeats: the doctor's packages, the pins, the settings. No image is built here."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import tomllib
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deployment import CLUSTER, ROOT, dockerfile, image_environment
from rumiai_ray.cli.doctor.checks import debian_packages
from rumiai_ray.config import load_config

if TYPE_CHECKING:
    from pathlib import Path

FOR_THE_LAUNCHERS = {"openssh-client", "rsync", "wget"}
"""`ray up` copies into containers with rsync and starts workers from the head over ssh; KubeRay's probes call wget."""


def rest_of(name: str) -> list[str]:
    return [rest for instruction, rest in dockerfile() if instruction == name]


def pip_installs() -> list[list[str]]:
    """The arguments of every `pip install`."""
    steps = [step for run in rest_of("RUN") for step in re.split(r"&&|;", run)]
    return [shlex.split(step.partition("pip install ")[2]) for step in steps if "pip install " in step]


def test_the_debian_packages_are_the_doctors_and_the_launchers() -> None:
    installs = [re.search(r"apt-get install -y --no-install-recommends (.*?)\s*&&", run) for run in rest_of("RUN")]
    products, launchers = [set(found[1].split()) for found in installs if found]
    assert products == set(debian_packages())
    assert launchers == FOR_THE_LAUNCHERS


def test_the_base_is_debian_12_slim_without_cuda_and_named_by_its_digest() -> None:
    base = next(rest for name, rest in dockerfile() if name == "ARG")
    assert re.fullmatch(r"PYTHON=python:3\.11-slim-bookworm@sha256:[0-9a-f]{64}", base)
    assert rest_of("FROM") == ["${PYTHON}"]


def test_everything_is_installed_by_the_digests_of_its_files() -> None:
    assert len(pip_installs()) == 4
    for arguments in pip_installs():
        assert "--no-deps" in arguments
        if "." in arguments:  # this package, built with the setuptools that was installed by its digest
            assert "--no-build-isolation" in arguments
            assert not any("==" in word for word in arguments)
        else:
            assert "--require-hashes" in arguments
            assert re.fullmatch(r"requirements(-cuda12|-\$\{CLOUD\})?\.txt", arguments[arguments.index("-r") + 1])
    assert "CLOUD=aws" in rest_of("ARG")


def pins() -> dict[str, str]:
    lines = (CLUSTER / "constraints.txt").read_text().splitlines()
    return {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines if line[0] != "#")}


def required(name: str) -> dict[str, str]:
    """Names and versions in a file of requirements, each with at least one digest."""
    text = "\n".join(line for line in (CLUSTER / name).read_text().splitlines() if not line.startswith("#"))
    found: dict[str, str] = {}
    for block in re.split(r"\n(?=\S)", text.replace("\\\n", " ")):
        requirement, *digests = re.split(r"\s+--hash=", block.strip())
        assert digests, requirement
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", digest) for digest in digests), requirement
        parsed = Requirement(requirement)
        (pin,) = parsed.specifier
        found[canonicalize_name(parsed.name)] = pin.version
    return found


def test_every_requirement_has_its_pinned_version_and_digests() -> None:
    found = required("requirements.txt")
    assert {name: pins().get(name) for name in found} == found
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    direct = [Requirement(one) for one in (*project["dependencies"], *project["optional-dependencies"]["s3"])]
    assert {canonicalize_name(one.name) for one in direct if one.marker is None or one.marker.evaluate()} <= set(found)
    assert "setuptools" in found, "builds this package"


@pytest.mark.parametrize(
    ("kind", "needed"), [("aws", {"boto3"}), ("gcp", {"gcsfs", "google-api-python-client"}), ("cuda12", {"nvidia-cublas-cu12"})]
)
def test_further_requirements_fit_those_of_every_image(kind: str, needed: set[str]) -> None:
    found, everywhere = required(f"requirements-{kind}.txt"), required("requirements.txt")
    assert needed <= set(found)
    assert {name: version for name, version in found.items() if everywhere.get(name, version) != version} == {}
    assert {name: version for name, version in found.items() if pins().get(name, version) != version} == {}


def test_what_is_left_out_of_the_environment_is_left_out_of_the_image() -> None:
    left_out = {
        canonicalize_name(Requirement(line).name)
        for line in (ROOT / "cluster/overrides.txt").read_text().splitlines()
        if line and not line.startswith("#")
    }
    assert left_out == {"triton", "xgboost", "nvidia-nccl-cu12"}
    assert not left_out & set(required("requirements.txt"))
    assert "xgboost-cpu" in required("requirements.txt"), "py-feat imports it"


def test_no_wheel_lays_its_files_over_those_of_torch() -> None:
    assert not any("cudnn" in word for arguments in pip_installs() for word in arguments)


def test_what_runs_is_not_root_and_has_the_home_that_ray_up_asks_for() -> None:
    (user,) = rest_of("USER")
    assert (user, next(rest for rest in rest_of("ARG") if rest.startswith("UID="))) == ("${UID}", "UID=1000")
    assert image_environment()["HOME"] == "/home/rumiai"
    assert any("useradd --uid ${UID} --create-home" in run and run.endswith("rumiai /frames /spill /weights") for run in rest_of("RUN"))


def test_weights_are_fetched_as_the_user_who_will_read_them_for_what_the_image_runs_by_default() -> None:
    order = [(name, rest) for name, rest in dockerfile() if name == "USER" or "weights fetch" in rest or "RUMIAI_PROFILE" in rest]
    assert [name for name, _ in order] == ["USER", "ENV", "RUN"]
    assert order[-1][1].endswith('if [ -n "${PROFILE}" ]; then rumiai-ray weights fetch; fi')
    settings = image_environment()
    assert (settings["RUMIAI_PROFILE"], settings["RUMIAI_MODELS"]) == ("${PROFILE}", "${MODELS}")


@pytest.mark.parametrize("profile", ["offline", ""])
def test_the_images_settings_are_settings(monkeypatch: pytest.MonkeyPatch, profile: str) -> None:
    defaults = dict(rest.split("=", 1) for rest in rest_of("ARG")) | {"PROFILE": profile}
    for name, value in image_environment().items():
        if name.startswith("RUMIAI_"):
            monkeypatch.setenv(name, re.sub(r"\$\{(\w+)\}", lambda match: defaults[match[1]], value))
    config = load_config()
    assert config.profile == (profile or "auto")
    assert len(config.models) == 7
    assert (str(config.weights_dir), str(config.store)) == ("/weights", "/frames")


def test_what_changes_often_is_copied_after_what_takes_long_to_install() -> None:
    copied = [(number, rest) for number, (name, rest) in enumerate(dockerfile()) if name == "COPY"]
    last_download = max(number for number, (_, rest) in enumerate(dockerfile()) if "--require-hashes" in rest)
    assert {rest.split()[0] for number, rest in copied if number < last_download} == {
        f"cluster/requirements{kind}.txt" for kind in ("", "-cuda12", "-${CLOUD}")
    }


@pytest.mark.parametrize(
    ("arguments", "runs"),
    [
        (["clip.mp4"], ["rumiai-ray", "clip.mp4"]),
        (["analyze", "a b.mp4", "$HOME"], ["rumiai-ray", "analyze", "a b.mp4", "$HOME"]),
        (["export", "latest"], ["rumiai-ray", "export", "latest"]),
        (["--help"], ["rumiai-ray", "--help"]),
        (["bash", "-c", 'printf "%s\\n" bash "$0"', "of `ray up`"], ["bash", "of `ray up`"]),
    ],
)
def test_a_container_s_arguments_are_the_product_s_unless_they_name_a_program(
    tmp_path: Path, arguments: list[str], runs: list[str]
) -> None:
    (entrypoint,) = rest_of("ENTRYPOINT")
    product = tmp_path / "rumiai-ray"
    product.write_text('#!/bin/bash\nprintf "%s\\n" rumiai-ray "$@"\n')
    product.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": "/home/rumiai"}
    said = subprocess.run([*json.loads(entrypoint), *arguments], env=environment, capture_output=True, text=True, check=True).stdout
    assert said.splitlines() == runs


def test_the_build_sees_what_it_copies_and_nothing_else() -> None:
    lines = (CLUSTER / "Dockerfile.dockerignore").read_text().splitlines()
    ignored, *let_in, caches = [line for line in lines if not line.startswith("#")]
    assert (ignored, caches) == ("*", "**/__pycache__")
    named = [source for rest in rest_of("COPY") for source in rest.split()[:-1]]
    copied = [source.replace("${CLOUD}", cloud) for source in named for cloud in ("aws", "gcp")]
    assert {line.removeprefix("!") for line in let_in} == {source.removesuffix("/__init__.py") for source in copied}
    assert all((ROOT / source).exists() for source in copied)
