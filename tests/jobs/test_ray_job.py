"""Batches as Ray jobs on a real head on loopback, with a real model on real clips: submitted, failing, stopped, killed, resumed."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ray.job_submission import JobStatus, JobSubmissionClient

from product import ROOT, rumiai_ray
from ray_head import Head, ray_head
from rumiai_ray.provenance import source_sha256
from rumiai_ray.runs.find import find_run
from sameness import padded_copy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rumiai_ray.runs.reader import Run

pytestmark = [pytest.mark.model("yolo"), pytest.mark.timeout(900)]

CLIPS = tuple(
    f"{folder}/{name}"
    for folder, names in {
        "d_gesture": ("asl_thanks.mkv", "asl_walk.mkv"),
        "a_speech": ("grid_bbaf2n.mpg", "grid_brbk7n.mpg", "grid_lwbsza.mpg", "grid_id2_vcd_swwp2s.mpg"),
        "b_objects": ("sam2_juggle.mp4", "sam2_dog_fetch.mp4"),
    }.items()
    for name in names
)
BATCH = f"{sys.executable} jobs/batch.py"
RESUME = f"{sys.executable} -m rumiai_ray runs resume"
WAIT_S = 300.0


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    """A head whose jobs get a minute to drain when they are stopped, as `cluster/` sets it."""
    with ray_head({"RAY_JOB_STOP_WAIT_TIME_S": "60"}) as head:
        yield head


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout whose code differs from what is installed here, with things in it that must not be uploaded."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("rumiai_ray", "jobs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / ".gitignore", folder)
    (folder / "rumiai_ray" / "only_in_the_checkout.py").write_text('"""Makes the source hash another."""\n')
    for name in (".git", ".venv", "runs", "rumiai_ray/__pycache__"):
        (folder / name).mkdir()
        (folder / name / "large.bin").write_bytes(os.urandom(2_000_000))
    return folder


@pytest.fixture
def client(head: Head) -> JobSubmissionClient:
    return JobSubmissionClient(head.jobs)


class Place:
    """A test's manifest, store and runs."""

    def __init__(self, folder: Path, media: Path) -> None:
        self.folder = folder
        self.media = media
        weights = os.environ.get("RUMIAI_WEIGHTS_DIR")
        self._weights = ("--weights-dir", weights) if weights else ()

    def arguments(self, clips: Sequence[str | Path], run_id: str) -> tuple[str, ...]:
        """Options of a batch over `clips`: small groups, so that there is something to see between them."""
        manifest = self.folder / "videos.txt"
        manifest.write_text("".join(f"{self.media / clip}\n" for clip in clips))
        where = ("--manifest", str(manifest), "--run-id", run_id, "--out", str(self.folder / "runs"), "--store", str(self.folder / "store"))
        small = ("--engine-group-age-s", "0.1", "--engine-batches-in-flight", "1")
        return (*where, "--profile", "offline", "--models", "yolo", *small, *self._weights)

    @property
    def again(self) -> str:
        """Options of a resume: execution settings are not taken from a run."""
        return shlex.join(("--store", str(self.folder / "store"), *self._weights))

    def run(self, run_id: str) -> Run:
        """The run as it is now."""
        return find_run(run_id, str(self.folder / "runs"))

    def wait_for_commits(self, run_id: str, count: int, failed: Callable[[], str | None]) -> None:
        """Wait until some entries are committed; `failed` says why it is in vain."""
        records = self.folder / "runs" / run_id / "commits"

        def enough() -> bool:
            trouble = failed()
            assert trouble is None, trouble
            return records.is_dir() and len(self.run(run_id).entries()) >= count

        wait(enough, f"{count} commits of {run_id}")


@pytest.fixture(scope="module")
def footage(media: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all `CLIPS`: where the real ones are not here, each is a clip that a package ships, with other bytes behind its end."""
    if all(media.joinpath(clip).exists() for clip in CLIPS):
        return media
    folder = tmp_path_factory.mktemp("footage")
    for number, clip in enumerate(CLIPS, 1):
        (folder / clip).parent.mkdir(exist_ok=True)
        padded_copy(media / "d_emotion" / "pyfeat_face_then_noface.mov", folder / clip, number)
    return folder


@pytest.fixture
def place(tmp_path: Path, footage: Path) -> Place:
    return Place(tmp_path, footage)


def wait(until: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not until():
        assert time.monotonic() < deadline, f"{what}: not within {WAIT_S:g} s"
        time.sleep(0.1)


def submit(client: JobSubmissionClient, checkout: Path, entrypoint: str) -> str:
    return client.submit_job(entrypoint=entrypoint, runtime_env={"working_dir": str(checkout)})


def batch(checkout: Path, place: Place, head: Head, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    """Start `jobs/batch.py` outside a job."""
    return subprocess.Popen(
        [sys.executable, str(checkout / "jobs" / "batch.py"), *arguments],
        env=head.environment | variables,
        cwd=place.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def ended(client: JobSubmissionClient, job: str) -> tuple[str, str]:
    """(status, log) of a job when it is over."""
    wait(lambda: client.get_job_status(job).is_terminal(), f"the end of {job}")
    return client.get_job_status(job).value, client.get_job_logs(job)


def is_over(client: JobSubmissionClient, job: str) -> Callable[[], str | None]:
    return lambda: client.get_job_logs(job) if client.get_job_status(job).is_terminal() else None


def check_each_clip_once(run: Run, clips: Sequence[str]) -> None:
    videos = run.table("videos", ["input"]).to_pylist()
    assert Counter(Path(row["input"]).name for row in videos) == Counter(Path(clip).name for clip in clips)
    analyses = run.table("analyses", ["video_key", "status"]).to_pylist()
    assert Counter(row["status"] for row in analyses) == {"ok": len(clips)}
    assert len({row["video_key"] for row in analyses}) == len(clips)
    assert run.verify() == []


def test_a_job_submitted_on_the_command_line_runs_the_uploaded_code_and_nothing_else_is_uploaded(
    head: Head, checkout: Path, place: Place
) -> None:
    arguments = place.arguments(CLIPS[:2], "cli")
    command = [sys.executable, "-m", "ray.scripts.scripts", "job", "submit", "--address", head.jobs, "--working-dir", str(checkout), "--"]
    submitted = subprocess.run(
        [*command, *BATCH.split(), *arguments], env=head.environment, cwd=place.folder, capture_output=True, text=True, check=False
    )
    said = submitted.stdout + submitted.stderr
    assert submitted.returncode == 0, said
    assert "run cli: 2 entries" in said
    assert "done=2 total=2" in said
    run = place.run("cli")
    assert run.status == "complete"
    check_each_clip_once(run, CLIPS[:2])
    assert run.manifest.source_sha256 == source_sha256(checkout / "rumiai_ray") != source_sha256()
    (package,) = head.folder.glob("session_2*/runtime_resources/working_dir_files/_ray_pkg_*/")
    assert not list(package.rglob("large.bin"))
    assert {path.name for path in package.iterdir()} == {"rumiai_ray", "jobs", ".gitignore"}


def test_a_corrupt_video_fails_the_job_with_exit_code_1_and_the_log_says_which(
    client: JobSubmissionClient, checkout: Path, place: Place
) -> None:
    bad = place.folder / "truncated_no_moov.mp4"
    bad.write_bytes((place.media / CLIPS[0]).read_bytes()[:2000])
    job = submit(client, checkout, " ".join((BATCH, *place.arguments((CLIPS[0], bad), "bad"))))
    status, log = ended(client, job)
    assert status == JobStatus.FAILED, log
    assert client.get_job_info(job).driver_exit_code == 1
    run = place.run("bad")
    assert run.status == "partial"
    (dead,) = run.table("dead_letter").to_pylist()
    assert dead["input"] == str(bad)
    assert "truncated_no_moov.mp4" in log
    assert dead["error_class"] in log
    check_each_clip_once(run, CLIPS[:1])


def test_a_stopped_job_keeps_what_it_had_and_a_second_job_does_the_rest(client: JobSubmissionClient, checkout: Path, place: Place) -> None:
    job = submit(client, checkout, " ".join((BATCH, *place.arguments(CLIPS, "stopped"))))
    place.wait_for_commits("stopped", 1, is_over(client, job))
    client.stop_job(job)
    status, log = ended(client, job)
    assert status == JobStatus.STOPPED, log
    assert f"stopped; continue with: rumiai-ray runs resume {place.folder}/runs/stopped" in log
    assert "Traceback" not in log
    run = place.run("stopped")
    assert run.status == "incomplete"
    before = set(run.entries())
    assert 0 < len(before) < len(CLIPS)

    status, log = ended(client, submit(client, checkout, f"{RESUME} {place.folder}/runs/stopped {place.again}"))
    assert status == JobStatus.SUCCEEDED, log
    assert f"run stopped: {len(CLIPS) - len(before)} entries" in log
    run = place.run("stopped")
    assert run.status == "complete"
    check_each_clip_once(run, CLIPS)


def test_a_job_whose_driver_is_killed_outright_is_resumed_too(client: JobSubmissionClient, checkout: Path, place: Place) -> None:
    job = submit(client, checkout, " ".join((BATCH, *place.arguments(CLIPS, "killed"))))
    place.wait_for_commits("killed", 1, is_over(client, job))
    driver = client.get_job_info(job).driver_info
    assert driver is not None
    os.kill(int(driver.pid), signal.SIGKILL)
    status, log = ended(client, job)
    assert status == JobStatus.FAILED, log
    assert place.run("killed").status == "incomplete"

    status, log = ended(client, submit(client, checkout, f"{RESUME} {place.folder}/runs/killed {place.again}"))
    assert status == JobStatus.SUCCEEDED, log
    assert place.run("killed").status == "complete"
    check_each_clip_once(place.run("killed"), CLIPS)


def test_a_driver_outside_a_job_uploads_a_copy_of_its_own_code(head: Head, checkout: Path, place: Place) -> None:
    ran = batch(checkout, place, head, *place.arguments(CLIPS[:1], "outside"), RAY_ADDRESS=head.gcs)
    log, _ = ran.communicate(timeout=WAIT_S)
    assert ran.returncode == 0, log
    run = place.run("outside")
    check_each_clip_once(run, CLIPS[:1])
    assert run.manifest.source_sha256 == source_sha256(checkout / "rumiai_ray")


def test_one_video_is_analysed_on_the_cluster_that_is_named(head: Head, place: Place) -> None:
    options = [option for option in place.arguments((), "single") if option not in {"--manifest", str(place.folder / "videos.txt")}]
    ours = {name: value for name, value in head.environment.items() if name.startswith("RAY_")}
    ran = rumiai_ray(place.media / CLIPS[0], *options, cwd=place.folder, variables=ours | {"RAY_ADDRESS": head.gcs})
    assert ran.code == 0, ran.stderr
    check_each_clip_once(place.run("single"), CLIPS[:1])
    summary = json.loads((place.folder / "runs" / "single" / "summary.json").read_text())
    assert summary["cluster"]["resources"]["CPU"] == 3, "the head's, and not this machine's"
    nowhere = rumiai_ray(place.media / CLIPS[0], *options, cwd=place.folder, variables={"RAY_ADDRESS": "127.0.0.1:9"})
    assert (nowhere.code, "no Ray answers there" in nowhere.stderr) == (2, True)


@pytest.mark.parametrize(
    ("address", "told"),
    [("127.0.0.1:9", "no Ray answers there"), ("http://127.0.0.1:8265", "is not HOST:PORT"), ("auto", "is not HOST:PORT")],
)
def test_an_address_that_is_no_ray_is_wrong_usage_and_nothing_is_started(
    head: Head, checkout: Path, place: Place, address: str, told: str
) -> None:
    ran = batch(checkout, place, head, *place.arguments(CLIPS[:1], "nowhere"), RAY_ADDRESS=address)
    log, _ = ran.communicate(timeout=WAIT_S)
    assert ran.returncode == 2, log
    assert told in log
    assert "Traceback" not in log
    assert not (place.folder / "runs").exists()


def test_a_batch_on_its_own_ray_is_stopped_by_sigterm_with_code_3_and_goes_on_from_anywhere(
    head: Head, checkout: Path, place: Place, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """`--out` is relative here: a run is resumed where it lies."""
    arguments = [*place.arguments(CLIPS, "own"), "--out", "runs"]
    process = batch(checkout, place, head, *arguments)
    place.wait_for_commits("own", 1, lambda: None if process.poll() is None else "it has ended")
    process.terminate()
    log, _ = process.communicate(timeout=WAIT_S)
    assert process.returncode == 3, log
    assert "Traceback" not in log
    (command,) = re.findall("stopped; continue with: rumiai-ray (.*)", log)
    assert place.run("own").status == "incomplete"
    assert 0 < len(place.run("own").entries()) < len(CLIPS)

    resumed = subprocess.run(
        [sys.executable, "-m", "rumiai_ray", *command.split(), *shlex.split(place.again)],
        env={**head.environment, "PYTHONPATH": str(checkout)},
        cwd=tmp_path_factory.mktemp("elsewhere"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert resumed.returncode == 0, resumed.stderr
    assert place.run("own").status == "complete"
    check_each_clip_once(place.run("own"), CLIPS)
