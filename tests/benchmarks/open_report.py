"""How long a report takes to open: from the navigation to the load event, in headless Chromium, once the browser is up.

`PYTHONPATH=tests/support python tests/benchmarks/open_report.py REPORT_DIR` prints a line for each page (milliseconds, megabytes, page)
and the slowest one. Each page is opened in a tab of its own, with nothing cached.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp

from chromium import browser

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_START_S = 60
_PAGE_S = 120


@contextmanager
def running_browser() -> Iterator[int]:
    """The port that a new browser listens on."""
    with tempfile.TemporaryDirectory(prefix="open-report-", ignore_cleanup_errors=True) as profile:
        options = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking")
        process = subprocess.Popen(
            [browser(), *options, "--remote-debugging-port=0", f"--user-data-dir={profile}", "--window-size=1280,900", "about:blank"],
            stderr=subprocess.DEVNULL,
        )
        try:
            yield _port(Path(profile) / "DevToolsActivePort")
        finally:
            process.terminate()
            process.wait(_START_S)


def _port(file: Path) -> int:
    """Where the browser listens, once it does."""
    deadline = time.monotonic() + _START_S
    while not (file.exists() and file.read_text().strip()):
        if time.monotonic() > deadline:
            raise TimeoutError("the browser does not start")
        time.sleep(0.1)
    return int(file.read_text().split()[0])


async def opening_times_ms(port: int, addresses: Sequence[str]) -> list[float]:
    """Milliseconds to the load event, for each page."""
    async with aiohttp.ClientSession() as http:
        return [await _open(http, port, address) for address in addresses]


async def _open(http: aiohttp.ClientSession, port: int, address: str) -> float:
    async with http.put(f"http://127.0.0.1:{port}/json/new?about:blank") as answer:
        tab = await answer.json()
    async with http.ws_connect(tab["webSocketDebuggerUrl"], max_msg_size=0) as socket, asyncio.timeout(_PAGE_S):
        await socket.send_json({"id": 1, "method": "Page.enable"})
        await _until(socket, lambda message: message.get("id") == 1)
        start = time.perf_counter()
        await socket.send_json({"id": 2, "method": "Page.navigate", "params": {"url": address}})
        await _until(socket, lambda message: message.get("method") == "Page.loadEventFired")
        took_ms = 1000 * (time.perf_counter() - start)
    async with http.get(f"http://127.0.0.1:{port}/json/close/{tab['id']}"):
        return took_ms


async def _until(socket: aiohttp.ClientWebSocketResponse, wanted: Callable[[dict[str, Any]], bool]) -> None:
    async for message in socket:
        if wanted(message.json()):
            return
    raise ConnectionError("the browser went away")


def main() -> None:
    """Measure and print."""
    report = Path(sys.argv[1])
    pages = sorted(report.rglob("*.html"))
    if not pages:
        sys.exit(f"no pages under {report}")
    with running_browser() as port:
        times_ms = asyncio.run(opening_times_ms(port, [page.resolve().as_uri() for page in pages]))
    for took_ms, page in zip(times_ms, pages, strict=True):
        print(f"{took_ms:7.0f} ms  {page.stat().st_size / 1e6:6.2f} MB  {page.relative_to(report)}")
    print(f"slowest of {len(pages)} pages: {max(times_ms):.0f} ms")


if __name__ == "__main__":
    main()
