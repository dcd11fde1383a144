"""Fixtures for the whole suite: real media, weights, and the rule that no model may be left untested in CI."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import fsspec
import pytest

from rumiai_ray.models.catalogue import MODELS

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from s3_server import S3Server

SHARED = Path(__file__).resolve().parents[2] / "shared"
MEDIA = SHARED / "media"
REPORTED = SHARED / "reported"

_passed: dict[str, int] = dict.fromkeys(MODELS, 0)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "model(name): runs this model family with real weights on real media")


@pytest.fixture(scope="session")
def media() -> Path:
    """The folder of real clips with known content; tests that need it are skipped by name where it is absent."""
    if not MEDIA.is_dir():
        pytest.skip(f"no real media at {MEDIA}")
    return MEDIA


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


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    marker = item.get_closest_marker("model")
    if marker is not None and report.when == "call" and report.passed:
        for name in marker.args:
            _passed[name] += 1
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI on the whole suite, a model whose real tests were all skipped fails the run."""
    whole = not session.config.getoption("keyword") and not session.config.getoption("markexpr") and session.config.args == ["tests"]
    untested = [name for name, count in _passed.items() if not count]
    if os.environ.get("CI") == "true" and whole and untested:
        session.config.stash[_UNTESTED] = untested
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


_UNTESTED = pytest.StashKey[list[str]]()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    terminalreporter.write_line("tests that ran a model for real: " + ", ".join(f"{name} {count}" for name, count in _passed.items()))
    for name in config.stash.get(_UNTESTED, []):
        terminalreporter.write_line(f"FAILED: no test of {name} was left unskipped", red=True)
