"""What holds for every file of `cluster/`: few places to fill in, no registry named, nothing spoken of that is not there."""

from __future__ import annotations

import re

import pytest

from deployment import CLUSTER, ROOT

TEXTS = sorted(path.relative_to(CLUSTER).as_posix() for path in CLUSTER.rglob("*") if path.is_file())
YAML = [name for name in TEXTS if name.endswith(".yaml")]


def test_the_folder_has_what_this_release_ships() -> None:
    assert {"README.md", "Dockerfile", "aws.yaml", "gcp.yaml", "on-prem.yaml", "runtime_env.yaml"} <= set(TEXTS)
    assert {"kuberay/raycluster.yaml", "kuberay/rayjob.yaml"} <= set(TEXTS)


@pytest.mark.parametrize("name", YAML)
def test_a_person_fills_in_at_most_five_places_and_the_file_says_how_to_find_them(name: str) -> None:
    lines = (CLUSTER / name).read_text().splitlines()
    places = [line for line in lines if "FILL_IN" in line.partition("# ")[0]]
    assert 1 <= len(places) <= 5
    assert any(line.startswith(f"#   grep -n FILL_IN cluster/{name}  ") for line in lines)


@pytest.mark.parametrize("name", TEXTS)
def test_no_registry_is_named(name: str) -> None:
    text = (CLUSTER / name).read_text()
    assert not re.search(r"index-url|find-links|\bpypi\b|docker\.io|ghcr|quay\.io|gcr\.io|\.ecr\.", text, re.IGNORECASE)
    assert set(re.findall(r"https?://([\w.-]+)", text)) <= {"127.0.0.1", "www.googleapis.com"}


@pytest.mark.parametrize("document", ["README.md", "cluster/README.md", "jobs/README.md"])
def test_documents_speak_only_of_files_that_are_there(document: str) -> None:
    for path in re.findall(r"(?<![\w./-])(?:cluster|jobs)/[\w./-]*\w", (ROOT / document).read_text()):
        assert (ROOT / path).exists(), path
