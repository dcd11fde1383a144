"""What the command line does around the profile `auto`: warm cells, resumed runs, failed fetches, Debian packages, the demo's report."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest

from rumiai_ray.cli import consent, warm_choice, weights
from rumiai_ray.cli import plan as plan_verb
from rumiai_ray.cli import weights as _weights
from rumiai_ray.cli.doctor import debian
from rumiai_ray.cli.doctor.libraries import LIBRARIES
from rumiai_ray.config import load_config
from rumiai_ray.engine.setup import model_choice
from rumiai_ray.errors import WeightsError
from rumiai_ray.models.weights import fetch as _fetch
from rumiai_ray.models.weights.reach import host_of
from rumiai_ray.models.yolo.model import Yolo

if TYPE_CHECKING:
    from pathlib import Path

FLAGSHIP, STAND_IN = "ultralytics/yolo11n", "mediapipe/efficientdet-lite0"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without weights, whose hub answers but gives nothing; returns its weights directory."""
    for name in ("RUMIAI_WEIGHTS_DIR", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(model_choice, "choose_device", lambda _: "cpu")
    return tmp_path / "cache/rumiai_ray/weights"


@pytest.fixture
def given(machine: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Backends that `fetch` cannot give, and why. All others it gives; every file has the digest it must have here."""
    refused: dict[str, str] = {}

    def fetch(candidates: list[Any], _profile: str, directory: Path, *_: object) -> None:
        for candidate in candidates:
            if candidate.backend in refused:
                raise WeightsError(refused[candidate.backend], candidate.backend)
            for file in candidate.files:
                (directory / file.path).parent.mkdir(parents=True, exist_ok=True)
                (directory / file.path).touch()

    monkeypatch.setattr(_fetch, "fetch_candidates", fetch)
    monkeypatch.setattr("rumiai_ray.models.weights.choice.check", lambda found, _: {file.role: "0" * 64 for file in found})
    monkeypatch.setattr("rumiai_ray.models.weights.auto.answering", lambda sources: dict.fromkeys(map(host_of, sources), True))
    assert not machine.exists()
    return refused


def yolo(**flags: Any) -> Any:
    return load_config(flags={"models": "yolo", "device": "cpu", **flags})


@pytest.mark.usefixtures("given")
def test_the_default_fetches_the_flagship_and_says_so() -> None:
    (plan,) = weights.choose_or_fetch(yolo())
    assert (plan.backend, plan.stand_in, plan.reason) == (FLAGSHIP, False, "flagship, fetched now")


def test_a_fetch_that_fails_ends_with_the_stand_in_and_the_reason(given: dict[str, str]) -> None:
    given[FLAGSHIP] = "the server answered 403 Forbidden"
    (plan,) = weights.choose_or_fetch(yolo())
    assert (plan.backend, plan.stand_in) == (STAND_IN, True)
    assert "403 Forbidden" in plan.reason
    assert plan.remark.startswith(f"  (stand-in: the flagship {FLAGSHIP} is not available (could not be fetched: ")
    assert plan.remark.endswith("); its stand-in was fetched now)")


def test_a_fetch_of_which_nothing_comes_is_an_error_that_names_all_reasons(given: dict[str, str]) -> None:
    given |= {FLAGSHIP: "403 Forbidden", STAND_IN: "the registry has it no more"}
    with pytest.raises(WeightsError, match=r"403 Forbidden(.|\n)*the registry has it no more"):
        weights.choose_or_fetch(yolo())


def test_a_resumed_run_keeps_its_stand_in_though_the_flagship_could_be_fetched_by_now(given: dict[str, str]) -> None:
    given[FLAGSHIP] = "no answer"
    (before,) = weights.choose_or_fetch(yolo())
    given.clear()
    (now,) = weights.choose_or_fetch(yolo(), kept={"yolo": before.backend})
    assert now.backend == before.backend == STAND_IN


def test_a_warm_cell_keeps_its_choice_for_as_long_as_its_ray_is_up(given: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    place = "127.0.0.1:1234 of this machine"
    monkeypatch.setattr(warm_choice, "_place", lambda: place)
    given[FLAGSHIP] = "no answer"
    config = yolo()
    assert warm_choice.kept_by_warm_cell(config) == {}
    warm_choice.note_warm_cell(weights.choose_or_fetch(config), config)
    assert warm_choice.kept_by_warm_cell(config) == {"yolo": STAND_IN}
    assert warm_choice.kept_by_warm_cell(yolo(accept_noncommercial=True)) == {}
    monkeypatch.setattr(warm_choice, "_place", lambda: "another")
    assert warm_choice.kept_by_warm_cell(config) == {}


def test_the_plan_shows_what_the_warm_cell_keeps_and_why(given: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm_choice, "_place", lambda: "127.0.0.1:1234 of this machine")
    given[FLAGSHIP] = "no answer"
    config = yolo()
    warm_choice.note_warm_cell(weights.choose_or_fetch(config), config)
    given.clear()
    (kept,) = plan_verb._auto(config, "cpu")
    assert (kept.backend, kept.reason) == (STAND_IN, "kept: the run or the warm cell was started with it")
    monkeypatch.setattr(warm_choice, "_place", lambda: "another")
    (now,) = plan_verb._auto(config, "cpu")
    assert (now.backend, now.reason) == (FLAGSHIP, "flagship, can be fetched")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"models": 3, "accepted": false, "place": ""}', "\ufffd"])
@pytest.mark.usefixtures("machine")
def test_a_damaged_note_of_the_warm_cell_is_no_note(text: str) -> None:
    path = warm_choice._note()
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert warm_choice.kept_by_warm_cell(yolo()) == {}


@pytest.mark.usefixtures("given")
@pytest.mark.parametrize("answer", [True, False])
def test_a_licence_is_asked_about_once_and_a_no_is_remembered(
    answer: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_weights, "barred_here", lambda _: {})
    monkeypatch.setattr("rumiai_ray.models.weights.auto.vouched", lambda candidate, _: not candidate.noncommercial)
    asked: list[str] = []

    def confirm(text: str, **_: object) -> Any:
        asked.append(text)
        return answer

    monkeypatch.setattr("typer.confirm", confirm)
    config = load_config(flags={"models": "emotion", "device": "cpu"})
    if answer:  # the fetch, which would pin the files, is not the real one here
        monkeypatch.setattr("rumiai_ray.models.weights.auto.vouched", lambda *_: False)
        with pytest.raises(WeightsError, match="still incomplete"):
            weights.choose_or_fetch(config, asking=True)
    else:
        (plan,) = weights.choose_or_fetch(config, asking=True)
        assert plan.stand_in
        assert consent._declined().read_text() == "py-feat/detectorv2\n"
    assert len(asked) == 1
    assert "WIDER FACE" in capsys.readouterr().err


def test_a_batch_job_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not consent.may_ask()  # pytest's stdin is no terminal
    monkeypatch.setattr("sys.stdin", None)
    assert not consent.may_ask()


def test_no_hub_at_all_ends_with_stand_ins_within_the_time_of_a_probe(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")
    monkeypatch.setattr("rumiai_ray.models.weights.choice.check", lambda found, _: {file.role: "0" * 64 for file in found})
    for candidate in Yolo.choices(Yolo.settings_type()):
        if candidate.stand_in:
            for file in candidate.files:
                (machine / file.path).parent.mkdir(parents=True, exist_ok=True)
                (machine / file.path).touch()
    (plan,) = weights.choose_or_fetch(yolo())
    assert plan.stand_in
    assert plan.reason.startswith("the flagship ")
    assert plan.reason.endswith(" is not available (no answer from 127.0.0.1); its stand-in is on this machine")


class Apt:
    """A machine with apt-get, some of whose libraries are missing."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, missing: set[str], programs: set[str], uid: int, works: bool = True) -> None:
        self.ran: list[list[str]] = []
        there = {name for library in LIBRARIES if library.debian not in missing for name in library.names}
        monkeypatch.setattr(debian, "loadable_libraries", lambda names: there & set(names))
        monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}" if name in programs else None)
        monkeypatch.setattr("os.geteuid", lambda: uid)

        def done(command: list[str]) -> bool:
            self.ran.append(command)
            return works

        monkeypatch.setattr(debian, "_done", done)


def test_missing_packages_are_installed_by_root_and_through_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    root = Apt(monkeypatch, missing={"libegl1", "ffmpeg"}, programs={"apt-get"}, uid=0)
    assert debian.install_missing() == 0
    assert root.ran[0] == ["apt-get", "update"]
    assert root.ran[1][-2:] == ["libegl1", "ffmpeg"]
    user = Apt(monkeypatch, missing={"libegl1"}, programs={"apt-get", "sudo"}, uid=1000)
    assert debian.install_missing() == 0
    assert [command[:2] for command in user.ran] == [["/usr/bin/sudo", "-n"]] * 2


@pytest.mark.parametrize(("missing", "code"), [({"libegl1"}, 1), ({"ffmpeg"}, 0), ({"ffmpeg", "libgl1"}, 1)])
def test_without_root_and_sudo_the_one_line_is_printed(
    missing: set[str], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    apt = Apt(monkeypatch, missing=missing, programs={"apt-get"}, uid=1000)
    assert debian.install_missing() == code
    assert apt.ran == []
    assert "sudo apt-get install -y --no-install-recommends" in capsys.readouterr().err


def test_an_installation_that_fails_ends_with_the_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    Apt(monkeypatch, missing={"libgl1"}, programs={"apt-get"}, uid=0, works=False)
    assert debian.install_missing() == 1
    assert "then run make again: apt-get install" in capsys.readouterr().err


def test_a_machine_that_lacks_nothing_or_has_no_apt_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Apt(monkeypatch, missing=set(), programs={"apt-get"}, uid=0)
    assert debian.install_missing() == 0
    other = Apt(monkeypatch, missing={"libegl1"}, programs=set(), uid=0)
    assert debian.install_missing() == 0
    assert whole.ran == other.ran == []
