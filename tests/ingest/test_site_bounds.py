"""What a post can cost, and where the process that runs yt-dlp can reach. The bad server is a local one."""

from __future__ import annotations

import dataclasses
import gzip
import json
import os
import resource
import signal
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from rumiai_ray import confinement
from rumiai_ray.confinement import Available, available
from rumiai_ray.errors import ConfigError, InputError, MediaError, RumiaiError, TransientError
from rumiai_ray.ingest import addresses, network
from rumiai_ray.ingest.outcomes import ExtractorBrokenError
from rumiai_ray.ingest.rules import InputRules
from rumiai_ray.ingest.sites import fetch as sites
from rumiai_ray.ingest.sites import process as _site_process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from rumiai_ray.ingest.fetch import FetchedVideo, FetchLimits
    from tests.ingest.conftest import Request, Site

    Got = Callable[..., AbstractContextManager[FetchedVideo]]

FILM = b"\0\0\0\x20ftypisom" + bytes(50_000)
MB = 2**20
FROZE = "https://www.tv2.no/v/" + "a/" * 60
needs_confinement = pytest.mark.skipif(
    available().landlock_abi < 4 or not available().seccomp, reason="the kernel lacks Landlock's network rules (ABI 4) or seccomp"
)


@pytest.fixture(autouse=True)
def fake_site(monkeypatch: pytest.MonkeyPatch, site: Site) -> None:
    monkeypatch.setattr(_site_process, "WORKER", "fake_site")
    for kind in ("title", "escapes", "page", "threads"):
        site.serve(f"/media/{kind}.mp4", body=FILM)


def failure(got: Got, url: str, limits: FetchLimits) -> RumiaiError:
    with pytest.raises(RumiaiError) as caught, got(url, dataclasses.replace(limits, attempts=1)):
        pass
    return caught.value


def peak_mb(who: int) -> float:
    return resource.getrusage(who).ru_maxrss / 1024


@contextmanager
def watched_children() -> Iterator[list[float]]:
    """The most memory in MB, as the one item of the list, that a process started meanwhile has had at any look.

    Not RUSAGE_CHILDREN, which remembers every child of earlier tests in this process. A child counts from its `exec` on: between fork and
    exec it has this process's memory, all that earlier tests have left in it included.
    """
    peak, over, ours = [0.0], threading.Event(), psutil.Process().cmdline()
    before = {child.pid for child in psutil.Process().children(recursive=True)}

    def look() -> None:
        while not over.wait(0.01):
            for child in psutil.Process().children(recursive=True):
                with suppress(psutil.Error):
                    if child.pid not in before and child.cmdline() != ours:
                        peak[0] = max(peak[0], child.memory_info().rss / MB)

    watch = threading.Thread(target=look)
    watch.start()
    try:
        yield peak
    finally:
        over.set()
        watch.join()


@pytest.mark.parametrize("kind", ["page", "browser", "handler-Urllib"])
def test_a_gzip_page_of_700_mb_ends_at_a_limit(site: Site, got: Got, limits: FetchLimits, kind: str) -> None:
    """yt-dlp's handlers unpack in blocks, by curl_cffi, and (urllib) all at once: the last one ends at the limit of memory."""
    site.serve("/page", body=gzip.compress(bytes(700 * MB), 1), Content_Encoding="gzip")
    before_mb = peak_mb(resource.RUSAGE_SELF)
    with watched_children() as child_peak_mb:
        error = failure(got, site.url(f"/post/{kind}"), limits)
    assert type(error) is MediaError
    assert ("limit of memory" if kind == "handler-Urllib" else "page larger than") in str(error)
    assert peak_mb(resource.RUSAGE_SELF) - before_mb < 100, "the page was read here"
    assert 20 < child_peak_mb[0] < 1200


@pytest.mark.parametrize("kind", ["page", "browser"])
def test_a_page_without_end_ends_at_a_limit(site: Site, got: Got, limits: FetchLimits, kind: str) -> None:
    def answer(request: Request) -> None:
        request.start()
        while not request.server.ended.is_set():
            request.wfile.write(bytes(MB))

    site.on("/page", answer)
    assert type(failure(got, site.url(f"/post/{kind}"), limits)) is MediaError


def test_a_fragment_of_500_mb_ends_at_a_limit(site: Site, got: Got, limits: FetchLimits) -> None:
    def answer(request: Request) -> None:
        request.start(Content_Length=str(500 * MB))
        block = b"G" + bytes(MB - 1)
        for _ in range(500):
            request.wfile.write(block)

    site.on("/media/0.ts", answer)
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:1", "#EXTINF:1,", "0.ts", "#EXT-X-ENDLIST", ""]
    site.serve("/media/list.m3u8", body="\n".join(lines).encode())
    before_mb = peak_mb(resource.RUSAGE_SELF)
    error = failure(got, site.url("/post/hls"), dataclasses.replace(limits, site_memory_bytes=400 * MB))
    assert type(error) is MediaError
    assert "memory" in str(error)
    error = failure(got, site.url("/post/hls"), dataclasses.replace(limits, max_bytes=20 * MB))
    assert type(error) is MediaError
    assert "larger than" in str(error)
    assert peak_mb(resource.RUSAGE_SELF) - before_mb < 100


def test_a_title_of_60_mb_is_cut_before_it_travels(site: Site, got: Got, limits: FetchLimits) -> None:
    site.serve("/page", body=b"t" * (60 * MB))
    with got(site.url("/post/title"), dataclasses.replace(limits, attempts=1)) as video:
        assert video.metadata.title is not None
        assert 0 < len(video.metadata.title) <= 300_000
        assert video.metadata.description is not None
        assert len(video.metadata.description) <= 300_000


def test_a_retry_after_that_is_no_time_is_a_rate_limit_without_one(site: Site, got: Got, limits: FetchLimits) -> None:
    site.serve("/page", 429, b"no", Retry_After="Mon, 01 Jan 2024 00:00:00 +99999999999999")
    error = failure(got, site.url("/post/page"), limits)
    assert type(error).__name__ == "RateLimitedError"


def test_an_address_that_froze_1_746_patterns_is_refused_after_seconds_of_those_of_its_host(
    got: Got, limits: FetchLimits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_site_process, "WORKER", "rumiai_ray.ingest.sites.worker")
    asked: list[str] = []

    def resolve(host: str, *_: object, **__: object) -> list[addresses.Address]:
        asked.append(host)
        raise InputError("no such host here", host)

    monkeypatch.setattr(network, "resolve", resolve)
    assert sites.knows(FROZE)
    assert "took too long to recognise this address" in str(failure(got, FROZE, limits))
    assert asked == []


def test_an_address_made_for_the_pattern_of_its_own_host_is_refused(site: Site, got: Got, limits: FetchLimits) -> None:
    error = failure(got, site.url("/backtrack/" + "a" * 60 + "!"), limits)
    assert type(error) is InputError
    assert "took too long to recognise" in str(error)
    assert site.requests == []


@pytest.mark.parametrize("kind", ["elsewhere", "elsewhere-list", "elsewhere-fragment", "elsewhere-page"])
def test_a_page_of_a_host_that_is_allowed_leads_to_nothing_on_one_that_is_not(site: Site, got: Got, limits: FetchLimits, kind: str) -> None:
    other = site.url("").replace("127.0.0.1", "localhost")
    fragment = b"G" + bytes(187)
    site.serve("/media/elsewhere.mp4", body=FILM)
    site.serve("/media/elsewhere.ts", body=fragment * 300)
    site.serve("/elsewhere-page", body=b"page")
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:1", "#EXTINF:1,", f"{other}/media/elsewhere.ts", "#EXT-X-ENDLIST", ""]
    for name in ("here", "there"):  # only the list `here` is asked for on the host that is allowed
        site.serve(f"/media/{name}.m3u8", body="\n".join(lines).encode())
    error = failure(got, site.url(f"/post/{kind}"), dataclasses.replace(limits, rules=InputRules(hosts=("127.0.0.1",))))
    assert type(error) is InputError
    assert "this host is not allowed" in str(error)
    assert "localhost" in str(error)
    assert [path for path in site.requests if "elsewhere" in path or "there" in path] == []
    with got(
        site.url(f"/post/{kind}"), dataclasses.replace(limits, attempts=1, rules=InputRules(hosts=("127.0.0.1", "localhost")))
    ) as video:
        assert video.size_bytes > 0


def test_an_address_longer_than_any_posts_is_refused_before_a_pattern_sees_it(got: Got, limits: FetchLimits) -> None:
    error = failure(got, "https://www.tiktok.com/@a/video/" + "1" * 3000, limits)
    assert type(error) is InputError
    assert len(str(error)) < 1000


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_a_fetch_whose_pattern_backtracks(tmp_path: Path, ending: signal.Signals) -> None:
    program = textwrap.dedent(
        """
        import pathlib, signal, sys
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that starts tests in the background has it ignored
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # as the command line does
        from rumiai_ray.ingest import addresses, network
        from rumiai_ray.ingest.sites import process as _site_process
        from rumiai_ray.ingest.sites import fetch as sites
        from rumiai_ray.ingest.entries import entries_from_inputs
        from rumiai_ray.ingest.fetch import FetchLimits, fetch
        _site_process.WORKER = "fake_site"
        assert sites.knows(sys.argv[1])
        print("asked", flush=True)
        while True:
            try:
                with fetch(entries_from_inputs([sys.argv[1]])[0], FetchLimits(), pathlib.Path(sys.argv[2])):
                    pass
            except Exception:
                pass
        """
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, "http://127.0.0.1/backtrack/" + "a" * 60 + "!", tmp_path],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"asked\n"
        while not psutil.Process(process.pid).children():  # the process that matches the pattern
            assert process.poll() is None
            time.sleep(0.02)
        time.sleep(1)
        frozen = psutil.Process(process.pid).children(recursive=True)
        assert interrupted(process, ending) != 0
        assert psutil.wait_procs(frozen, timeout=20)[1] == [], "the pattern is matched on"
    finally:
        process.kill()
        process.wait()
    assert list(tmp_path.iterdir()) == []


def interrupted(process: subprocess.Popen[bytes], ending: signal.Signals) -> int:
    """The exit status of a process that is sent `ending`: again after a while, as Python drops the exception where it is raised in a
    callback of a weak reference, of which every import and every thread has some."""
    for _ in range(6):
        process.send_signal(ending)
        with suppress(subprocess.TimeoutExpired):
            return process.wait(20)
    raise AssertionError("the process goes on, however often it is interrupted")


@needs_confinement
def test_the_process_that_runs_yt_dlp_reaches_nothing_but_the_proxy(
    site: Site, got: Got, limits: FetchLimits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted")
    monkeypatch.setenv("NO_PROXY", "*")
    with got(site.url("/post/escapes"), dataclasses.replace(limits, attempts=1)) as video:
        assert video.metadata.title is not None
        found = json.loads(video.metadata.title)
    environment = found.pop("environment")
    assert set(found.values()) <= {"PermissionError", "gaierror"}, found
    assert "AWS" not in environment
    assert "PROXY" not in environment.upper()


def test_no_post_is_fetched_unconfined_where_the_sandbox_is_required(
    site: Site, got: Got, limits: FetchLimits, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, required = site.url("/post/threads"), dataclasses.replace(limits, require_sandbox=True)
    monkeypatch.setattr(sites, "available", lambda: Available(3, seccomp=True, reasons=()))
    error = failure(got, url, required)
    assert type(error) is ConfigError
    assert "TCP ports" in str(error)
    monkeypatch.setattr(sites, "available", lambda: Available(7, seccomp=True, reasons=()))
    with got(url, required) as video:
        assert video.size_bytes == len(FILM)


@pytest.mark.parametrize("landlock_abi", [0, 1])
def test_the_parent_hides_its_memory_from_yt_dlp_only_where_landlock_does_not(
    site: Site, got: Got, limits: FetchLimits, monkeypatch: pytest.MonkeyPatch, landlock_abi: int
) -> None:
    hidden: list[bool] = []
    monkeypatch.setattr(confinement, "available", lambda: Available(landlock_abi, seccomp=True, reasons=()))
    monkeypatch.setattr(confinement, "become_undumpable", lambda: hidden.append(True))
    with got(site.url("/post/threads"), limits):
        assert bool(hidden) is (landlock_abi == 0)


def test_extractors_may_start_threads(site: Site, got: Got, limits: FetchLimits) -> None:
    with got(site.url("/post/threads"), dataclasses.replace(limits, attempts=1)) as video:
        assert video.size_bytes == len(FILM)


def test_an_extractor_that_spins_ends_at_the_cpu_limit(site: Site, got: Got, limits: FetchLimits) -> None:
    error = failure(got, site.url("/post/spin"), dataclasses.replace(limits, site_cpu_s=4))
    assert type(error) is ExtractorBrokenError
    assert "4 s of CPU" in str(error)


def test_an_extractor_that_spins_ends_with_the_total_time(site: Site, got: Got, limits: FetchLimits) -> None:
    error = failure(got, site.url("/post/spin"), dataclasses.replace(limits, total_s=4))
    assert type(error) is TransientError
    assert "not done after" in str(error)


def test_a_crash_of_the_process_is_an_error_of_its_post(site: Site, got: Got, limits: FetchLimits) -> None:
    error = failure(got, site.url("/post/crash"), limits)
    assert type(error) is ExtractorBrokenError
    assert "SIGSEGV" in str(error)


def test_a_file_over_ftp_is_not_fetched(site: Site, got: Got, limits: FetchLimits) -> None:
    failure(got, site.url("/post/ftp"), limits)
    assert site.requests == []


def test_an_address_on_a_sites_host_that_no_pattern_takes_is_fetched_as_a_file(site: Site, got: Got) -> None:
    url = site.serve("/files/a.mp4", body=FILM)
    assert sites.knows(url)
    with got(url) as video:
        assert video.path.read_bytes() == FILM


@pytest.mark.parametrize("said", [b"", b"nonsense\n", b"[]\n", b'{"kind": "video", "files": 1}\n', b'{"kind": "error"}\n', b"x" * (9 * MB)])
def test_a_process_that_was_taken_over_is_not_believed(
    site: Site, got: Got, limits: FetchLimits, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: bytes
) -> None:
    """It says what it likes, and leaves a link to a file of the machine where the video should be."""
    sites.knows(site.url("/"))  # with the worker of the table
    (tmp_path / "said").write_bytes(said)
    liar = tmp_path / "liar.py"
    liar.write_text(
        "import json, os, sys\n"
        "job = json.loads(sys.stdin.read())\n"
        "os.symlink('/etc/passwd', job['folder'] + '/video')\n"
        f"os.write(job['output_fd'], b'') ; open(job['output_fd'], 'wb').write(open({str(tmp_path / 'said')!r}, 'rb').read())\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    hosts = _site_process.site_hosts()
    monkeypatch.setattr(_site_process, "site_hosts", lambda: hosts)
    monkeypatch.setattr(_site_process, "WORKER", "liar")
    error = failure(got, site.url("/post/good"), limits)
    assert isinstance(error, ExtractorBrokenError | TransientError)


def taken_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: str) -> None:
    """Puts a program in the place of yt-dlp; `job` is the job, which names the folder."""
    hosts = _site_process.site_hosts()
    monkeypatch.setattr(_site_process, "site_hosts", lambda: hosts)
    (tmp_path / "liar.py").write_text(f"import json, os, sys, time\njob = json.loads(sys.stdin.read())\nos.chdir(job['folder'])\n{program}")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(_site_process, "WORKER", "liar")


@pytest.mark.parametrize(
    "program",
    [
        "n = 0\nwhile n < 600:\n    n += 1; open(f'f{n}', 'wb').write(bytes(2**20)); time.sleep(0.005)\ntime.sleep(99)",
        "for n in range(200_000): open(f'f{n}', 'wb').close()\ntime.sleep(99)",
        "f = open('video.part', 'wb'); f.truncate(2**40); time.sleep(99)",
    ],
    ids=["many large files", "many empty files", "a file with a hole"],
)
def test_a_process_that_fills_its_folder_is_ended(
    site: Site, got: Got, limits: FetchLimits, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: str
) -> None:
    taken_over(monkeypatch, tmp_path, program)
    error = failure(got, site.url("/post/good"), dataclasses.replace(limits, max_bytes=20 * MB, scratch_bytes=400 * MB))
    assert type(error) is MediaError
    assert "limits-max-input-mb" in str(error)


def test_media_that_unpack_to_more_than_came_over_the_network_do_not_fill_the_disk(site: Site, got: Got, limits: FetchLimits) -> None:
    packed = gzip.compress(bytes(300 * MB), 1)
    site.serve("/media/page.mp4", body=packed, Content_Encoding="gzip")
    site.serve("/page", body=b"<html>")
    error = failure(got, site.url("/post/page"), dataclasses.replace(limits, max_bytes=200 * MB, scratch_bytes=50 * MB))
    assert isinstance(error, MediaError | TransientError), error
    assert "limits-max-input-mb" in str(error) or "scratch-max-mb" in str(error)


@needs_confinement
def test_the_process_that_runs_yt_dlp_makes_no_directory(site: Site, got: Got, limits: FetchLimits) -> None:
    with got(site.url("/post/escapes"), dataclasses.replace(limits, attempts=1)) as video:
        assert video.metadata.title is not None
        assert json.loads(video.metadata.title)["directory"] == "PermissionError"


def test_a_planted_file_in_the_working_directory_is_not_imported(
    site: Site, got: Got, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = tmp_path / "here"
    planted.mkdir()
    (planted / "types.py").write_text(f"open({str(tmp_path / 'trace')!r}, 'w')\n")
    monkeypatch.chdir(planted)
    monkeypatch.syspath_prepend(str(planted))
    with got(site.url("/post/threads")) as video:
        assert video.size_bytes == len(FILM)
    assert not Path(tmp_path / "trace").exists()
