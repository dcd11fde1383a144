"""How long a report takes to open: from the navigation to the load event, in headless Chromium, once the browser is up.

`PYTHONPATH=tests/support python tests/benchmarks/open_report.py REPORT_DIR` prints a line for each page (milliseconds, megabytes, page)
and the slowest one. Each page is opened in a tab of its own, with nothing cached.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from chromium import running_browser, visit


def main() -> None:
    """Measure and print."""
    report = Path(sys.argv[1])
    pages = sorted(report.rglob("*.html"))
    if not pages:
        sys.exit(f"no pages under {report}")
    slowest_ms = 0.0
    with running_browser() as port:
        for page in pages:
            took_ms, _ = asyncio.run(visit(port, page.resolve().as_uri()))
            print(f"{took_ms:7.0f} ms  {page.stat().st_size / 1e6:6.2f} MB  {page.relative_to(report)}")
            slowest_ms = max(slowest_ms, took_ms)
    print(f"slowest of {len(pages)} pages: {slowest_ms:.0f} ms")


if __name__ == "__main__":
    main()
