from __future__ import annotations

import hashlib
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rumiai_ray.errors import ConfigError, WeightsError
from rumiai_ray.models.base import FrameBatch, Model, ModelSettings, Prediction
from rumiai_ray.models.weights.choice import MissingWeightsError, WantedModel, default_directories, resolve, resolve_all, verify
from rumiai_ray.models.weights.files import Candidate, WeightFile

if TYPE_CHECKING:
    from rumiai_ray.models.weights.files import Profile


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def weight(path: str, content: bytes | None) -> WeightFile:
    """A catalogue line for a file of this content; None where the release does not know the digest."""
    return WeightFile(role=Path(path).stem, path=path, sha256=None if content is None else digest(content), licence="MIT")


def candidate(backend: str, *files: WeightFile, profiles: tuple[Profile, ...] = ("standard", "offline"), **rest: Any) -> Candidate:
    return Candidate(backend=backend, package="numpy", files=files, profiles=profiles, **rest)


def family(*candidates: Candidate, called: str = "fake") -> type[Model]:
    offered = candidates

    class Fake(Model):
        name = called
        consumes = "frames"
        tables = ()

        @classmethod
        def candidates(cls, settings: ModelSettings) -> tuple[Candidate, ...]:
            assert settings.threads == 1
            return offered

        def load(self) -> None:
            raise NotImplementedError

        def predict(self, batch: FrameBatch | Any) -> Prediction:
            raise NotImplementedError

    return Fake


def put(directory: Path, path: str, content: bytes) -> Path:
    target = directory / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    return target


FLAGSHIP = candidate("lib/flagship", weight("fake/flagship.bin", b"flagship"))
STAND_IN = candidate("lib/stand-in", weight("fake/small.bin", b"small"), profiles=("offline",), stand_in=True)
SETTINGS = ModelSettings()


def test_the_first_complete_candidate_is_chosen_and_the_plan_says_what_it_is(tmp_path: Path) -> None:
    path = put(tmp_path, "fake/flagship.bin", b"flagship")
    put(tmp_path, "fake/small.bin", b"small")
    plan = resolve(family(FLAGSHIP, STAND_IN), SETTINGS, profile="offline", directories=[tmp_path], device="cuda:1")
    assert (plan.name, plan.backend, plan.stand_in, plan.device, plan.precision) == ("fake", "lib/flagship", False, "cuda:1", "fp32")
    assert plan.files == {"flagship": path}
    assert plan.weights_sha256 == plan.digests["flagship"] == digest(b"flagship")
    assert plan.version.count(".") == 2


def test_a_stand_in_is_chosen_where_the_flagship_is_absent_and_is_named_as_one(tmp_path: Path) -> None:
    put(tmp_path, "fake/small.bin", b"small")
    plan = resolve(family(FLAGSHIP, STAND_IN), SETTINGS, profile="offline", directories=[tmp_path])
    assert (plan.backend, plan.stand_in) == ("lib/stand-in", True)


def test_a_candidate_of_another_profile_is_never_chosen(tmp_path: Path) -> None:
    put(tmp_path, "fake/small.bin", b"small")
    with pytest.raises(MissingWeightsError) as caught:
        resolve(family(FLAGSHIP, STAND_IN), SETTINGS, profile="standard", directories=[tmp_path])
    message = str(caught.value)
    for said in (
        "model fake",
        "fake/flagship.bin",
        str(tmp_path),
        "rumiai-ray weights fetch --profile standard",
        "RUMIAI_WEIGHTS_DIR",
        "--profile offline",
    ):
        assert said in message
    assert "small.bin" not in message


def test_all_models_that_lack_weights_are_named_at_once(tmp_path: Path) -> None:
    put(tmp_path, "there.bin", b"there")
    names = ("absent", "there", "gone")
    wanted = [WantedModel(family(candidate(f"lib/{name}", weight(f"{name}.bin", name.encode())), called=name), SETTINGS) for name in names]
    with pytest.raises(MissingWeightsError) as caught:
        resolve_all(wanted, profile="standard", directories=[tmp_path])
    assert caught.value.subject == "models absent, gone"
    assert all(said in caught.value.what for said in ("lib/absent: no absent.bin", "lib/gone: no gone.bin"))
    assert "there.bin" not in str(caught.value)
    assert [plan.name for plan in resolve_all(wanted[1:2], profile="standard", directories=[tmp_path])] == ["there"]


def test_a_profile_without_any_candidate_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no candidate in the profile standard"):
        resolve(family(STAND_IN), SETTINGS, profile="standard", directories=[tmp_path])


def test_a_missing_library_is_a_configuration_error(tmp_path: Path) -> None:
    put(tmp_path, "a.bin", b"a")
    offered = Candidate("lib/a", "no-such-distribution", (weight("a.bin", b"a"),), ("offline",))
    with pytest.raises(ConfigError, match="no-such-distribution is not installed"):
        resolve(family(offered), SETTINGS, profile="offline", directories=[tmp_path])


def test_a_wrong_flagship_is_an_error_even_where_a_stand_in_is_there(tmp_path: Path) -> None:
    path = put(tmp_path, "fake/flagship.bin", b"tampered")
    put(tmp_path, "fake/small.bin", b"small")
    with pytest.raises(WeightsError) as caught:
        resolve(family(FLAGSHIP, STAND_IN), SETTINGS, profile="offline", directories=[tmp_path])
    for said in (str(path), digest(b"tampered"), digest(b"flagship")):
        assert said in str(caught.value)


def test_a_right_file_in_a_later_directory_does_not_excuse_a_wrong_one_in_an_earlier(tmp_path: Path) -> None:
    put(tmp_path / "first", "fake/flagship.bin", b"tampered")
    put(tmp_path / "second", "fake/flagship.bin", b"flagship")
    with pytest.raises(WeightsError, match="wrong file"):
        resolve(family(FLAGSHIP), SETTINGS, profile="offline", directories=[tmp_path / "first", tmp_path / "second"])


def test_files_of_one_folder_come_from_one_directory_and_are_digested_together(tmp_path: Path) -> None:
    files = (weight("net/model.bin", b"model"), weight("net/config.json", b"{}"), weight("other/labels.txt", b"cat"))
    half, whole = tmp_path / "half", tmp_path / "whole"
    put(half, "net/model.bin", b"model")
    put(half, "other/labels.txt", b"cat")
    put(whole, "net/model.bin", b"model")
    put(whole, "net/config.json", b"{}")
    plan = resolve(family(candidate("lib/net", *files)), SETTINGS, profile="offline", directories=[half, whole])
    assert plan.files == {
        "model": whole / "net/model.bin",
        "config": whole / "net/config.json",
        "labels": half / "other/labels.txt",
    }
    lines = sorted(f"{role}:{value}" for role, value in plan.digests.items())
    assert plan.weights_sha256 == digest("\n".join(lines).encode())


def test_a_file_nobody_vouches_for_is_refused_with_the_pin_to_paste_and_accepted_once_pinned(tmp_path: Path) -> None:
    put(tmp_path, "fake/new.bin", b"new")
    model = family(candidate("lib/new", weight("fake/new.bin", None)))
    line = f'"fake/new.bin" = "{digest(b"new")}"'
    with pytest.raises(WeightsError) as caught:
        resolve(model, SETTINGS, profile="offline", directories=[tmp_path])
    assert line in str(caught.value)
    (tmp_path / "pins.toml").write_text(line + "\n")
    plan = resolve(model, SETTINGS, profile="offline", directories=[tmp_path])
    assert plan.weights_sha256 == digest(b"new")


def test_a_pinned_file_that_changed_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "fake/new.bin", b"newer")
    (tmp_path / "pins.toml").write_text(f'"fake/new.bin" = "{digest(b"new")}"\n')
    with pytest.raises(WeightsError, match=digest(b"new")):
        resolve(family(candidate("lib/new", weight("fake/new.bin", None))), SETTINGS, profile="offline", directories=[tmp_path])


def test_a_pin_cannot_overrule_the_catalogue(tmp_path: Path) -> None:
    put(tmp_path, "fake/flagship.bin", b"tampered")
    (tmp_path / "pins.toml").write_text(f'"fake/flagship.bin" = "{digest(b"tampered")}"\n')
    with pytest.raises(WeightsError, match="wrong file"):
        resolve(family(FLAGSHIP), SETTINGS, profile="offline", directories=[tmp_path])


@pytest.mark.parametrize("pins", ["not toml", '"fake/new.bin" = "abc"', '"fake/new.bin" = 3'])
def test_a_pins_file_that_cannot_be_understood_is_named(tmp_path: Path, pins: str) -> None:
    put(tmp_path, "fake/new.bin", b"new")
    (tmp_path / "pins.toml").write_text(pins)
    with pytest.raises(WeightsError, match=r"pins\.toml"):
        resolve(family(candidate("lib/new", weight("fake/new.bin", None))), SETTINGS, profile="offline", directories=[tmp_path])


def test_verify_hashes_again_and_notices_what_happened_since_the_plan(tmp_path: Path) -> None:
    path = put(tmp_path, "fake/flagship.bin", b"flagship")
    plan = resolve(family(FLAGSHIP), SETTINGS, profile="offline", directories=[tmp_path])
    verify(plan)
    path.write_bytes(b"flagshiq")
    with pytest.raises(WeightsError, match=digest(b"flagshiq")):
        verify(plan)
    path.unlink()
    with pytest.raises(MissingWeightsError, match="not on this node"):
        verify(plan)


def test_errors_cross_process_borders_unchanged(tmp_path: Path) -> None:
    with pytest.raises(MissingWeightsError) as caught:
        resolve(family(FLAGSHIP), SETTINGS, profile="offline", directories=[tmp_path])
    back = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 -- our own bytes
    assert type(back) is MissingWeightsError
    assert str(back) == str(caught.value)


def test_the_named_directory_comes_before_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    cache = tmp_path / "cache" / "rumiai_ray" / "weights"
    monkeypatch.delenv("RUMIAI_WEIGHTS_DIR", raising=False)
    assert default_directories() == (cache,)
    monkeypatch.setenv("RUMIAI_WEIGHTS_DIR", str(tmp_path / "mine"))
    assert default_directories() == (tmp_path / "mine", cache)
    assert default_directories(tmp_path / "named") == (tmp_path / "named", cache)


def test_a_candidate_that_cannot_use_a_gpu_is_planned_for_the_cpu(tmp_path: Path) -> None:
    put(tmp_path, "a.bin", b"a")
    for runs_on_gpu, expected in ((False, ("cpu", "fp32")), (True, ("cuda:1", "fp16"))):
        model = family(candidate("lib/a", weight("a.bin", b"a"), runs_on_gpu=runs_on_gpu, gpu_precision="fp16"))
        plan = resolve(model, SETTINGS, profile="offline", directories=[tmp_path], device="cuda:1")
        assert (plan.device, plan.precision) == expected
