from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
import typer
from typer.testing import CliRunner

import rumiai_ray
from rumiai_ray import confinement
from rumiai_ray.cli.doctor import libraries as _libraries
from rumiai_ray.cli.doctor import machine as _machine_checks
from rumiai_ray.cli.doctor import packages as _package_checks
from rumiai_ray.cli.doctor import ray as _ray_checks
from rumiai_ray.cli.doctor import verb as doctor_verb
from rumiai_ray.cli.doctor.checks import Finding, debian_packages, examine
from rumiai_ray.cli.doctor.verb import preflight
from rumiai_ray.cli.options import with_settings
from rumiai_ray.config import BaseConfig
from rumiai_ray.confinement import Available
from rumiai_ray.engine.ray_session import folder as ray_folder
from rumiai_ray.engine.ray_session.folder import RayFolder
from rumiai_ray.errors import ConfigError
from rumiai_ray.models import catalogue
from rumiai_ray.models.base import Batch, Model, ModelSettings
from rumiai_ray.models.weights.files import Candidate, UrlSource, WeightFile
from rumiai_ray.package_manager import YTDLP, update_command
from rumiai_ray.runs.manifest import SandboxRecord

if TYPE_CHECKING:
    from collections.abc import Callable

    from rumiai_ray.models.base import Prediction

ROOT = Path(rumiai_ray.__file__).parents[1]


class Usage(NamedTuple):
    """What `shutil.disk_usage` returns."""

    total: int
    used: int
    free: int


class Fake(Model):
    name = "fake"
    consumes = "frames"
    tables = ()
    sha256 = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"  # of `foo`
    url = "https://weights.invalid/foo.bin"

    @classmethod
    def candidates(cls, settings: ModelSettings) -> tuple[Candidate, ...]:  # noqa: ARG003 -- the protocol's signature
        file = WeightFile("model", "fake/foo.bin", cls.sha256, "MIT", ((UrlSource(cls.url),),))
        return (Candidate("lib/fake", "numpy", (file,), ("standard", "offline"), stand_in=True),)

    def load(self) -> None:
        raise NotImplementedError

    def predict(self, batch: Batch) -> Prediction:
        raise NotImplementedError


@pytest.fixture
def diagnose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Finding]]:
    """Findings of the quick checks by name, in a clean working directory, for one fake model family."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(catalogue, "model_class", lambda _: Fake)

    def _diagnose(store: Path = tmp_path / "store", out: str | Path = tmp_path / "runs", *, quick: bool = True) -> dict[str, Finding]:
        findings = examine("standard", {"fake": ModelSettings()}, [tmp_path / "weights"], store, out, quick=quick)
        return {finding.check: finding for finding in findings}

    return _diagnose


def pretend_versions(monkeypatch: pytest.MonkeyPatch, **versions: str) -> None:
    known = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: versions.get(name.replace("-", "_")) or known(name))


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def test_every_finding_that_is_not_ok_says_what_to_do(diagnose: Callable[..., dict[str, Finding]], tmp_path: Path) -> None:
    (tmp_path / "insights").mkdir()
    findings = diagnose(out="/proc/nowhere", quick=False)
    troubled = [finding for finding in findings.values() if finding.status != "ok"]
    assert {finding.check for finding in troubled} >= {"weights of fake", "runs", "old outputs"}
    assert all(finding.remedy for finding in troubled)


def test_the_quick_checks_import_neither_torch_nor_ray(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from rumiai_ray.cli.doctor.checks import examine;"
        f"examine('offline', {{}}, [], Path({str(tmp_path)!r}), 'runs', quick=True);"
        "print([name for name in ('torch', 'ray', 'cv2', 'mediapipe') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_a_sandbox_that_is_whole_is_named_with_its_layers(
    diagnose: Callable[..., dict[str, Finding]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confinement, "available", lambda: Available(7, seccomp=True, reasons=()))
    monkeypatch.setattr(_machine_checks, "available", lambda: Available(7, seccomp=True, reasons=()))
    finding = diagnose()["sandbox"]
    assert finding.status == "ok"
    assert "Landlock ABI 7, seccomp" in finding.message


def test_a_missing_layer_of_the_sandbox_is_a_warning_and_an_error_where_the_sandbox_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    reasons = (("Landlock", "the kernel does not offer it: Operation not supported"),)
    monkeypatch.setattr(confinement, "available", lambda: Available(0, seccomp=True, reasons=reasons))
    warned, refused = (_machine_checks.sandbox(required=required) for required in (False, True))
    assert (warned.status, refused.status) == ("warning", "error")
    assert all("Landlock: the kernel does not offer it: Operation not supported" in finding.message for finding in (warned, refused))
    assert "--limits-require-sandbox" in refused.remedy


@pytest.mark.parametrize(
    ("landlock_abi", "layers"), [(1, ("TCP ports", "truncation")), (2, ("TCP ports", "truncation")), (3, ("TCP ports",))]
)
def test_a_layer_that_only_yt_dlp_needs_is_named_too(
    diagnose: Callable[..., dict[str, Finding]], monkeypatch: pytest.MonkeyPatch, landlock_abi: int, layers: tuple[str, ...]
) -> None:
    monkeypatch.setattr(confinement, "available", lambda: Available(landlock_abi, seccomp=True, reasons=()))
    finding = diagnose()["sandbox"]
    assert finding.status == "warning"
    assert [f"{layer}: ABI {landlock_abi}" in finding.message for layer in layers] == [True] * len(layers)
    assert finding.message.count("(needed for yt-dlp)") == len(layers)
    assert SandboxRecord.of_now().missing == confinement.missing_layers() != ()


def test_preflight_refuses_a_run_that_requires_a_sandbox_the_kernel_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reasons = (("seccomp", "the kernel refuses filters: Function not implemented"),)
    monkeypatch.setattr(confinement, "available", lambda: Available(0, seccomp=False, reasons=reasons))
    monkeypatch.chdir(tmp_path)
    app = typer.Typer()

    @app.command()
    @with_settings()
    def command(config: BaseConfig) -> None:
        assert config.limits.require_sandbox
        preflight(config)

    done = CliRunner().invoke(app, ["--require-sandbox"])
    assert isinstance(done.exception, ConfigError)
    assert "seccomp: the kernel refuses filters" in str(done.exception)


def test_debian_packages_are_named_by_a_python_with_nothing_installed() -> None:
    command = [
        sys.executable,
        "-I",
        "-S",
        "-c",
        f"import sys, runpy; sys.path.insert(0, {str(ROOT)!r}); sys.argv[1:] = ['--debian-packages'];",
    ]
    command[-1] += "runpy.run_module('rumiai_ray.cli.doctor', run_name='__main__')"
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert tuple(done.stdout.split()) == debian_packages()
    assert {"libegl1", "libgles2", "libgl1", "libglib2.0-0", "ffmpeg"} <= set(debian_packages())


def test_unknown_arguments_are_refused_with_the_usage() -> None:
    done = subprocess.run([sys.executable, "-m", "rumiai_ray.cli.doctor"], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 2
    assert "--debian-packages" in done.stderr


def test_all_missing_libraries_are_named_with_one_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_libraries, "loadable_libraries", lambda names: {name for name in names if "GL" not in name})
    finding = _libraries.system_libraries("offline", {"mediapipe"})
    assert finding.status == "error"
    assert "libEGL.so.1 (for mediapipe)" in finding.message
    assert finding.remedy.endswith("apt-get install -y --no-install-recommends libegl1 libgles2 libgl1")


@pytest.mark.parametrize(
    ("profile", "models", "status"),
    [("standard", {"emotion"}, "error"), ("offline", {"emotion"}, "warning"), ("standard", {"ocr"}, "warning")],
)
def test_ffmpeg_matters_only_where_py_feat_runs(monkeypatch: pytest.MonkeyPatch, profile: str, models: set[str], status: str) -> None:
    monkeypatch.setattr(_libraries, "loadable_libraries", lambda names: {name for name in names if "avcodec" not in name})
    finding = _libraries.system_libraries(profile, models)
    assert (finding.status, finding.remedy.split()[-1]) == (status, "ffmpeg")


def test_any_ffmpeg_that_torchcodec_has_a_build_for_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    have = {library.names[-1] for library in _libraries.LIBRARIES}
    monkeypatch.setattr(_libraries, "loadable_libraries", lambda _: have)
    assert _libraries.system_libraries("standard", {"emotion"}).status == "ok"


def test_a_library_is_loadable_or_not() -> None:
    assert _libraries.loadable_libraries(["libc.so.6", "libno-such-library.so.1"]) == {"libc.so.6"}


def test_three_opencv_wheels_at_two_versions_are_an_error(
    diagnose: Callable[..., dict[str, Finding]], monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_versions(monkeypatch, opencv_python="4.12.0.88")
    finding = diagnose()["opencv"]
    assert finding.status == "error"
    assert "opencv-python 4.12.0.88" in finding.message


def test_a_package_at_a_version_this_release_does_not_take_is_an_error(
    diagnose: Callable[..., dict[str, Finding]], monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_versions(monkeypatch, ray="2.59.1")
    finding = diagnose()["packages"]
    assert finding.status == "error"
    assert "ray is 2.59.1, must be ==2.60.*" in finding.message
    assert "make venv" in finding.remedy


@pytest.mark.parametrize("torch", ["2.13.0", "2.15.0+cpu"])
def test_a_torch_that_does_not_fit_torchvision_is_an_error(monkeypatch: pytest.MonkeyPatch, torch: str) -> None:
    pretend_versions(monkeypatch, torch=torch)
    monkeypatch.setattr(metadata, "requires", lambda _: ["numpy", "torch (>=2.14.0)"])
    finding = _package_checks._torch()
    assert finding.status == "error"
    assert torch in finding.message


@pytest.mark.parametrize(
    ("version", "status", "said"),
    [
        ("2026.10.26", "ok", "34 days old"),
        ("2026.9.30", "ok", "60 days old"),
        ("2026.09.29", "warning", "61 days old"),
        ("2026.10.26.232842.dev0", "ok", "34 days old"),
        ("2026.12.01", "ok", "0 days old"),
        ("2026.13.40", "warning", "is not a date, so its age is unknown"),
        ("nightly", "warning", "is not a date, so its age is unknown"),
        ("7", "warning", "is not a date, so its age is unknown"),
    ],
)
def test_yt_dlp_tells_its_age(monkeypatch: pytest.MonkeyPatch, version: str, status: str, said: str) -> None:
    pretend_versions(monkeypatch, yt_dlp=version)
    finding = _package_checks.ytdlp_age(date(2026, 11, 29))
    assert (finding.status, said in finding.message) == (status, True)
    assert finding.remedy.startswith(f"`{update_command(YTDLP)}`; " if status != "ok" else "")
    assert (finding.remedy != "") == (status != "ok")
    assert update_command(YTDLP) in finding.message + finding.remedy, "errors of videos send here"


def test_missing_weights_say_what_to_fetch_and_that_the_host_does_not_answer(
    diagnose: Callable[..., dict[str, Finding]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(Fake, "url", f"http://127.0.0.1:{closed_port()}/foo.bin")
    finding = diagnose(quick=False)["weights of fake"]
    assert finding.status == "error"
    assert "fake/foo.bin" in finding.message
    assert "no answer from 127.0.0.1" in finding.message
    assert "rumiai-ray weights fetch" in finding.remedy


def test_weights_that_are_there_are_hashed_and_a_stand_in_is_called_one(
    diagnose: Callable[..., dict[str, Finding]], tmp_path: Path
) -> None:
    path = tmp_path / "weights/fake/foo.bin"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"foo")
    finding = diagnose(quick=False)["weights of fake"]
    assert finding.status == "ok"
    assert "stand-in" in finding.message
    path.write_bytes(b"bar")
    finding = diagnose(quick=False)["weights of fake"]
    assert finding.status == "error"
    assert str(path) in finding.message


def test_a_family_without_weights_needs_none(diagnose: Callable[..., dict[str, Finding]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Fake, "candidates", classmethod(lambda *_: (Candidate("lib/fake", "numpy", (), ("standard", "offline")),)))
    finding = diagnose(quick=False)["weights of fake"]
    assert finding.status == "ok"
    assert finding.message.endswith("needs none")


@pytest.mark.parametrize(("free_gb", "status"), [(0.1, "error"), (2, "warning"), (100, "ok")])
def test_room_on_the_disk_is_judged_by_what_is_free(
    diagnose: Callable[..., dict[str, Finding]], monkeypatch: pytest.MonkeyPatch, free_gb: float, status: str
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(int(2e11), 0, int(free_gb * 1e9)))
    findings = diagnose()
    assert (findings["frame store"].status, findings["runs"].status) == (status, status)
    assert f"{free_gb:.1f} GB free" in findings["runs"].message


def test_a_file_in_the_place_of_a_directory_is_an_error(diagnose: Callable[..., dict[str, Finding]], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    finding = diagnose(store=tmp_path / "file")["frame store"]
    assert finding.status == "error"
    assert "--store" in finding.remedy


def test_a_uri_for_runs_is_not_mistaken_for_a_directory(diagnose: Callable[..., dict[str, Finding]]) -> None:
    assert diagnose(out="s3://bucket/runs")["runs"] == Finding(
        "runs", "ok", "s3://bucket/runs is not a local directory and was not checked"
    )


def test_a_gpu_without_cublas_12_is_a_warning_that_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_machine_checks, "_driver", lambda: "1 NVIDIA GPU")
    monkeypatch.setattr(_machine_checks, "loadable_libraries", lambda _: set())
    found, whisper = _machine_checks.gpu(quick=True)
    assert (found.status, found.message) == ("ok", "1 NVIDIA GPU")
    assert whisper.status == "warning"
    assert "nvidia-cublas-cu12" in whisper.remedy
    assert "LD_LIBRARY_PATH" in whisper.remedy


def test_a_cluster_that_does_not_answer_is_noticed_without_waiting_for_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", f"ray://127.0.0.1:{closed_port()}")
    (finding,) = (finding for finding in _ray_checks.ray_usability(quick=True) if finding.check == "ray cluster")
    assert finding.status == "warning"
    assert os.environ["RAY_ADDRESS"] in finding.message
    assert "unset RAY_ADDRESS" in finding.remedy


def test_a_cluster_that_answers_is_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{server.getsockname()[1]}")
        (finding,) = (finding for finding in _ray_checks.ray_usability(quick=True) if finding.check == "ray cluster")
    assert finding.status == "ok"


@pytest.mark.parametrize("address", ["", "nonsense", "host:port", "127.0.0.1:99999"])
def test_what_is_no_address_does_not_answer(address: str) -> None:
    assert not _ray_checks.answers(address)


def test_what_a_killed_cluster_left_is_named_with_the_file_to_remove(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    note = tmp_path / "ray" / "ray_current_cluster"
    note.parent.mkdir()
    note.write_text(f"127.0.0.1:{closed_port()}\n")
    finding = _ray_checks._left_over()
    assert (finding.status, finding.remedy) == ("warning", f"`rm {note}`")


def test_little_shared_memory_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(64 << 20, 0, 64 << 20))
    finding = _ray_checks._shared_memory()
    assert finding.status == "warning"
    assert "--shm-size" in finding.remedy


def test_old_outputs_are_named_and_it_is_said_that_nothing_reads_them(diagnose: Callable[..., dict[str, Finding]], tmp_path: Path) -> None:
    assert diagnose()["old outputs"].status == "ok"
    for name in ("unified_analysis", "emotion_detection_outputs"):
        (tmp_path / name).mkdir()
    finding = diagnose()["old outputs"]
    assert finding.status == "warning"
    assert "nothing reads any more" in finding.message
    assert "rm -r emotion_detection_outputs unified_analysis" in finding.remedy


def test_what_a_killed_command_left_is_named_and_cleared_and_a_living_commands_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_folder, "_SHORT", tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert _ray_checks._left_behind().status == "ok"
    dead, living = RayFolder.make(), RayFolder.make()
    dead.release()
    finding = _ray_checks._left_behind()
    assert finding.status == "warning"
    assert f"{dead.path} (of a killed command)" in finding.message
    assert str(living.path) not in finding.message
    assert "doctor --clear" in finding.remedy
    doctor_verb._clear()
    assert (dead.path.exists(), living.path.exists()) == (False, True)
    living.remove()
