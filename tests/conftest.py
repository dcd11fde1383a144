"""Fixtures for the whole suite: real media, weights, and the rule that no model may be left untested in CI."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import fsspec
import hypothesis
import pytest

import tiers
from once import once, shared_folder
from real_media import media_at
from rumiai_ray.models.catalogue import MODELS, default_models
from verdict import MODEL_OF_ITEM, Verdict

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from s3_server import S3Server

# Modules of the tests with their rewritten assertions, and of the package, are compiled once, and not in each of a suite's processes, of
# which some have it in their environment that none writes what it has compiled. Half of the time of collecting the tests went there.
sys.dont_write_bytecode = False

# How long an example takes says how busy the machine is: no test of a property has a limit of time.
hypothesis.settings.register_profile("suite", deadline=None)
hypothesis.settings.load_profile("suite")

REPORTED = Path(__file__).resolve().parents[2] / "shared" / "reported"

_RAYS_PROGRAMS = ("gcs_server", "ray.scripts.scripts")
"""What a Ray begins with: its first process, or `ray start`."""

_verdict = Verdict()
_tier_running: tiers.Tier | None = None


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--verdict", type=Path, help="write what was counted into this file (tests/run_tiers.py adds up those of all tiers)")
    parser.addoption("--files-of-tiers", type=Path, help="write into this file, unless it is there, which files have tests of which tier")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "model(name): runs this model family with real weights on real media")
    for tier in tiers.TIERS:
        config.addinivalue_line("markers", f"{tier}: put there by tests/support/tiers.py, never by hand")
    sys.addaudithook(_no_ray_in_unit_tests)


@pytest.hookimpl(wrapper=True)  # before `-m` selects
def pytest_collection_modifyitems(session: pytest.Session, items: list[pytest.Item]) -> Generator[None, None, None]:
    for item in items:
        item.add_marker(tiers.tier_of(item))
    note: Path | None = session.config.getoption("files_of_tiers")
    if note and not session.testsfailed:  # files that cannot be imported are in no tier
        tiers.note_files([(_tier(item), item.path) for item in items], note)
    longest = dict[Path, float]()
    for item in items:
        allowed = item.get_closest_marker("timeout")
        longest[item.path] = max(longest.get(item.path, 0.0), float(allowed.args[0]) if allowed else 0.0)
    # Files with tests that are allowed more time than usual begin first: at the end, one process would be left alone with them.
    items.sort(key=lambda item: (tiers.TIERS.index(_tier(item)), -longest[item.path]))
    return (yield)


def _tier(item: pytest.Item) -> tiers.Tier:
    return next(tier for tier in tiers.TIERS if item.get_closest_marker(tier))


def _no_ray_in_unit_tests(event: str, arguments: tuple[Any, ...]) -> None:
    """What `tiers` has put into the wrong tier is noticed where it starts a Ray."""
    if event == "subprocess.Popen" and _tier_running == "unit" and any(name in str(arguments[:2]) for name in _RAYS_PROGRAMS):
        raise RuntimeError("a test of the tier `unit` starts a Ray: tests/support/tiers.py does not see that it does")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    global _tier_running  # noqa: PLW0603 -- an audit hook is told nothing of the test
    _tier_running = _tier(item)
    marker = item.get_closest_marker("model")
    if marker is not None:
        item.user_properties += [(MODEL_OF_ITEM, name) for name in marker.args]
    try:
        return (yield)
    finally:
        _tier_running = None
        if sys.platform == "linux" and os.sched_getscheduler(0) == os.SCHED_FIFO:
            # SVT-AV1's encoder gives root's whole process real-time priority: every later test and its children would starve the others.
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of real clips with known content; tests that name a file that is not there are skipped by that name."""
    return media_at(tmp_path_factory.mktemp("media"))


@pytest.fixture(scope="session")
def demo_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo clip, spoken, made once in a run of the suite."""
    from rumiai_ray.cli.demo import clip as _demo_clip  # noqa: PLC0415 -- most tests need no clip
    from rumiai_ray.cli.demo import speech as _demo_speech  # noqa: PLC0415 -- most tests need no clip

    clip = shared_folder(tmp_path_factory) / "demo.mp4"

    def make() -> str:
        try:
            speech = _demo_speech.speak([scene.sentence for scene in _demo_clip.SCENES])
        except _demo_speech.NoSpeechError as error:
            return f"the demo clip cannot speak: {error}"
        _demo_clip.compose(clip, speech)
        return ""

    if trouble := once(clip.with_suffix(".made"), make):
        pytest.skip(trouble)
    return clip


@pytest.fixture(scope="session")
def reported() -> Path:
    """The folder of small inputs made after public bug reports; tests that need it are skipped by name where it is absent."""
    if not REPORTED.is_dir():
        pytest.skip(f"no reported inputs at {REPORTED}")
    return REPORTED


@pytest.fixture(scope="session")
def _s3_server() -> Iterator[S3Server]:
    from s3_server import s3_server  # noqa: PLC0415 -- moto takes a second to import

    with s3_server() as server:
        yield server


@pytest.fixture
def s3(_s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """An S3-compatible server that this process and those it starts find through the environment, as an operator's would be."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in _s3_server.variables.items():
        monkeypatch.setenv(name, value)
    return _s3_server


@pytest.fixture
def bucket(s3: S3Server) -> str:
    """URI of a new bucket on that server."""
    del s3
    name = f"bucket-{uuid4().hex}"
    fsspec.filesystem("s3", use_listings_cache=False).mkdir(name)
    return f"s3://{name}"


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    # Called where the session is controlled, for tests of other processes too.
    _verdict.count(report)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI on the whole suite, a model whose real tests were all skipped fails the run, unless it is one that only runs on demand."""
    if hasattr(session.config, "workerinput"):
        return
    if file := session.config.getoption("verdict"):
        _verdict.to_file(file)
    whole = not session.config.getoption("keyword") and not session.config.getoption("markexpr") and session.config.args == ["tests"]
    if os.environ.get("CI") == "true" and whole and _verdict.untested(default_models()):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
    for line in _verdict.lines(MODELS):
        terminalreporter.write_line(line)
    if os.environ.get("CI") == "true" and exitstatus == pytest.ExitCode.TESTS_FAILED:
        for name in _verdict.untested(default_models()):
            terminalreporter.write_line(f"no test of {name} was left unskipped", red=True)
