"""Pages opened in a real browser without a window, through its DevTools protocol."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_START_S = 120
_PAGE_S = 240
_OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
    "--remote-debugging-port=0",
)  # fmt: skip


def browser() -> str:
    """The browser's program; the test is skipped where there is none, except in CI."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert found or os.environ.get("CI") != "true", "CI must not skip the browser: .ci/run installs chromium"
    if found is None:
        pytest.skip("no browser: Debian package chromium")
    return found


@contextmanager
def running_browser(size_px: tuple[int, int] = (1280, 900)) -> Iterator[int]:
    """The port on loopback that a new browser listens on; its windows are of this width and height."""
    with tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True) as profile:
        command = [browser(), *_OPTIONS, f"--window-size={size_px[0]},{size_px[1]}", f"--user-data-dir={profile}", "about:blank"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
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


async def visit(port: int, address: str, expressions: Sequence[str] = ()) -> tuple[float, list[Any]]:
    """Open a page in a tab of its own, and evaluate expressions in it, one after the other, once it has loaded.

    Returns:
        Milliseconds from the navigation to the load event; the expressions' values.
    """
    async with aiohttp.ClientSession() as http, asyncio.timeout(_PAGE_S):
        async with http.put(f"http://127.0.0.1:{port}/json/new?about:blank") as answer:
            tab = await answer.json()
        async with http.ws_connect(tab["webSocketDebuggerUrl"], max_msg_size=0) as socket:
            await _call(socket, 1, "Page.enable")
            start = time.perf_counter()
            await socket.send_json({"id": 2, "method": "Page.navigate", "params": {"url": address}})
            await _until(socket, "method", "Page.loadEventFired")
            took_ms = 1000 * (time.perf_counter() - start)
            values = []
            for number, expression in enumerate(expressions, 3):
                answered = await _call(socket, number, "Runtime.evaluate", expression=expression, returnByValue=True)
                assert "exceptionDetails" not in answered["result"], answered["result"]["exceptionDetails"]
                values.append(answered["result"]["result"].get("value"))
        async with http.get(f"http://127.0.0.1:{port}/json/close/{tab['id']}"):
            return took_ms, values


async def _call(socket: aiohttp.ClientWebSocketResponse, number: int, method: str, **parameters: Any) -> dict[str, Any]:
    await socket.send_json({"id": number, "method": method, "params": parameters})
    return await _until(socket, "id", number)


async def _until(socket: aiohttp.ClientWebSocketResponse, name: str, value: object) -> dict[str, Any]:
    """The next message that has this value under this name."""
    async for message in socket:
        received: dict[str, Any] = message.json()
        if received.get(name) == value:
            return received
    raise ConnectionError("the browser went away")


def evaluated(page: Path, *expressions: str, anchor: str = "", size_px: tuple[int, int] = (1280, 900)) -> list[Any]:
    """The values of JavaScript expressions in a page that was opened for them.

    Args:
        page: the file.
        expressions: evaluated one after the other.
        anchor: what stands after `#` in the address.
        size_px: width and height of the window.
    """
    with running_browser(size_px) as port:
        _, values = asyncio.run(visit(port, page.resolve().as_uri() + (f"#{anchor}" if anchor else ""), expressions))
    return values


def rendered(page: Path, anchor: str = "") -> str:
    """The page's document as it is once its script has run, as HTML."""
    (document,) = evaluated(page, "document.documentElement.outerHTML", anchor=anchor)
    assert isinstance(document, str)
    return document
