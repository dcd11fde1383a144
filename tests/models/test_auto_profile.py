from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, Literal

import pytest

from rumiai_ray.models.base import Model, ModelSettings
from rumiai_ray.models.weights import auto
from rumiai_ray.models.weights.auto import WeightsSurvey
from rumiai_ray.models.weights.choice import MissingWeightsError, WantedModel
from rumiai_ray.models.weights.files import Candidate, HubSource, PackageSource, UrlSource, WeightFile, in_profile
from rumiai_ray.models.weights.reach import answering
from rumiai_ray.models.yolo.model import Yolo, YoloSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rumiai_ray.models.weights.auto import Choice
    from rumiai_ray.models.weights.files import WeightSource


def candidate(name: str, source: WeightSource, **rest: Any) -> Candidate:
    sha256 = None if rest.get("noncommercial") else "0" * 64
    file = WeightFile(name, f"{name}.safetensors", sha256, "words", ((source,),), noncommercial=rest.pop("noncommercial", False))
    return Candidate(f"lib/{name}", "numpy", (file,), ("standard",), **rest)


HUB, PACKAGE = HubSource("repo/net", "flagship"), PackageSource("net", "1.0", "small")
FLAGSHIP = candidate("flagship", HUB)
RESEARCH = candidate("research", HUB, noncommercial=True)
STAND_IN = candidate("small", PACKAGE, stand_in=True)


def choose(survey: WeightsSurvey, *candidates: Candidate) -> Choice:
    class Fake(Model):
        name = "fake"
        consumes = "frames"
        tables = ()

        @classmethod
        def candidates(cls, settings: ModelSettings) -> tuple[Candidate, ...]:  # noqa: ARG003 -- the protocol's signature
            return candidates

        def load(self) -> None:
            raise NotImplementedError

        def predict(self, batch: Any) -> Any:
            raise NotImplementedError

    return survey.choose([WantedModel(Fake, ModelSettings())])["fake"]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[socket.socket]:
    """A port that accepts connections until the socket is closed."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        yield server


def put(directory: Path, *candidates: Candidate) -> Path:
    directory.mkdir(exist_ok=True)
    for one in candidates:
        (directory / one.files[0].path).touch()
    return directory


@pytest.mark.parametrize(
    ("here", "answers", "chosen", "fetch"),
    [
        ((FLAGSHIP, STAND_IN), 0, FLAGSHIP, 0),
        ((FLAGSHIP,), 1, FLAGSHIP, 0),
        ((STAND_IN,), 1, FLAGSHIP, 1),
        ((), 1, FLAGSHIP, 1),
        ((STAND_IN,), 0, STAND_IN, 0),
        ((), 0, STAND_IN, 1),
    ],
)
def test_the_order_is_flagship_here_flagship_fetched_stand_in_here_stand_in_fetched(
    hub: socket.socket, tmp_path: Path, here: tuple[Candidate, ...], answers: Literal[0, 1], chosen: Candidate, fetch: Literal[0, 1]
) -> None:
    if not answers:
        hub.close()
    # The order in which a family declares its candidates does not put a stand-in first.
    for declared in ((FLAGSHIP, STAND_IN), (STAND_IN, FLAGSHIP)):
        choice = choose(WeightsSurvey([put(tmp_path / "w", *here)]), *declared)
        assert (choice.candidate, choice.fetch) == (chosen, bool(fetch))
        assert ("no answer from 127.0.0.1" in choice.reason) is (chosen is STAND_IN)


def test_nobody_is_asked_where_the_flagship_is_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        pytest.fail("a host was asked")

    monkeypatch.setattr(auto, "answering", refuse)
    assert choose(WeightsSurvey([put(tmp_path / "w", FLAGSHIP)]), FLAGSHIP, STAND_IN).candidate is FLAGSHIP


def test_a_silent_hub_takes_the_time_of_one_probe_however_many_families_want_it(
    hub: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.close()
    asked: list[int] = []

    def counted(sources: Any) -> dict[str, bool]:
        asked.append(1)
        return answering(sources)

    monkeypatch.setattr(auto, "answering", counted)
    survey = WeightsSurvey([tmp_path])
    choose(survey, FLAGSHIP, candidate("other", HUB), STAND_IN)
    choose(survey, RESEARCH, STAND_IN)
    assert asked == [1]


@pytest.mark.usefixtures("hub")
def test_a_licence_is_accepted_asked_about_or_passed_over(tmp_path: Path) -> None:
    put(tmp_path / "w", STAND_IN)
    unaccepted = choose(WeightsSurvey([tmp_path / "w"]), RESEARCH, STAND_IN)
    assert (unaccepted.candidate, unaccepted.ask) == (STAND_IN, RESEARCH)
    assert "--accept-noncommercial" in unaccepted.reason
    accepted = choose(WeightsSurvey([tmp_path / "w"], accepted=True), RESEARCH, STAND_IN)
    assert (accepted.candidate, accepted.fetch, accepted.ask) == (RESEARCH, True, None)


def test_nobody_is_asked_about_the_licence_of_what_cannot_be_fetched(hub: socket.socket, tmp_path: Path) -> None:
    hub.close()
    choice = choose(WeightsSurvey([tmp_path]), RESEARCH, STAND_IN)
    assert (choice.candidate, choice.ask) == (STAND_IN, None)


@pytest.mark.usefixtures("hub")
def test_a_file_that_somebody_put_there_is_not_used_until_it_is_vouched_for(tmp_path: Path) -> None:
    put(tmp_path / "w", RESEARCH, STAND_IN)
    assert choose(WeightsSurvey([tmp_path / "w"]), RESEARCH, STAND_IN).candidate is STAND_IN
    (tmp_path / "w/pins.toml").write_text(f'"{RESEARCH.files[0].path}" = "{"1" * 64}"\n')
    choice = choose(WeightsSurvey([tmp_path / "w"]), RESEARCH, STAND_IN)
    assert (choice.candidate, choice.fetch) == (RESEARCH, False)


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize("kept", [FLAGSHIP, STAND_IN])
@pytest.mark.parametrize("here", [(), (FLAGSHIP,), (STAND_IN,), (FLAGSHIP, STAND_IN)])
def test_what_a_run_was_started_with_is_kept_whatever_can_be_had_now(tmp_path: Path, kept: Candidate, here: tuple[Candidate, ...]) -> None:
    survey = WeightsSurvey([put(tmp_path / "w", *here)], kept={"fake": kept.backend})
    assert choose(survey, FLAGSHIP, STAND_IN).candidate is kept


def test_a_flagship_that_failed_makes_room_for_the_stand_in_and_says_why(tmp_path: Path) -> None:
    choice = choose(WeightsSurvey([put(tmp_path / "w", FLAGSHIP)], barred={FLAGSHIP.backend: "403 Forbidden"}), FLAGSHIP, STAND_IN)
    assert choice.candidate is STAND_IN
    assert "the flagship lib/flagship is not available (403 Forbidden); its stand-in " in choice.reason


def test_a_family_that_nothing_can_run_names_the_files_and_the_silent_hosts(hub: socket.socket, tmp_path: Path) -> None:
    hub.close()
    with pytest.raises(MissingWeightsError, match=r"flagship\.safetensors(.|\n)*no answer from 127\.0\.0\.1"):
        choose(WeightsSurvey([tmp_path]), FLAGSHIP)


def test_a_package_needs_no_hub(hub: socket.socket, tmp_path: Path) -> None:
    hub.close()
    file = WeightFile("net", "net.bin", "0" * 64, "MIT", ((UrlSource("http://127.0.0.1:1/x"),), (PACKAGE,)))
    choice = choose(WeightsSurvey([tmp_path]), Candidate("lib/both", "numpy", (file,), ("standard",)))
    assert choice.fetch
    assert choice.reason == "the only candidate, can be fetched"


@pytest.mark.usefixtures("hub")
def test_a_network_that_is_declared_once_for_each_profile_counts_once(tmp_path: Path) -> None:
    backends = [one.backend for one in in_profile(Yolo.candidates(YoloSettings()), "auto")]
    assert len(backends) == len(set(backends)) == 3
    choice = WeightsSurvey([tmp_path]).choose([WantedModel(Yolo, YoloSettings())])["yolo"]
    assert (choice.candidate.backend, choice.fetch) == ("ultralytics/yolo11n", True)
