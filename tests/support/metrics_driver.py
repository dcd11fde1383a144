"""A batch of fakes on a cluster, which then stays until what it told has been scraped.

`python metrics_driver.py HEAD:PORT FOLDER URL NAMES` prints, as JSON, the samples of the metrics whose names begin with NAMES.
"""

from __future__ import annotations

import json
import sys
import threading
import time
import urllib.request
from pathlib import Path

import ray
from prometheus_client.parser import text_string_to_metric_families

import fakes
from batches import Kit, clips
from rumiai_ray.engine.ray_session.local import LocalRay, start_ray
from rumiai_ray.engine.work.metrics import METRICS
from rumiai_ray.ingest.entries import Entry
from rumiai_ray.provenance import source_sha256

_EXPORTED_S = 60.0
"""Ray exports every ten seconds unless it is told otherwise."""


class Scraper:
    """Looks every second, as Prometheus does every few; a gauge that nobody sets any more is not exported any more."""

    def __init__(self, url: str, begin: str) -> None:
        self.last: dict[str, tuple[str, dict[str, str], float]] = {}
        """The last value of each sample."""
        self._url = url
        self._begin = begin
        self._over = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def all_told(self, entries: int) -> bool:
        """Whether all metrics have been seen, and so many entries counted."""
        samples = list(self.last.values())
        ended = sum(value for name, _, value in samples if name.endswith("_entries_total"))
        return ended == entries and all(any(told.startswith(f"ray_{name}") for told, _, _ in samples) for name in METRICS)

    def _run(self) -> None:
        while not self._over.wait(1.0):
            with urllib.request.urlopen(self._url, timeout=30) as answer:  # noqa: S310 -- our own http address
                families = list(text_string_to_metric_families(answer.read().decode()))
            for one in (one for family in families for one in family.samples if one.name.startswith(self._begin)):
                self.last[f"{one.name} {sorted(one.labels.items())}"] = one.name, one.labels, one.value


def main(address: str, folder: Path, url: str, begin: str) -> None:
    """See the module."""
    start_ray(address=address, log_to_driver=False)
    models = (fakes.plan("reader", "Reader"), fakes.plan("ears", "Listener"), fakes.plan("broken", behave="raise", on=-1))
    kit = Kit(LocalRay(source_sha256(), folder / "scratch"), folder, models=models, cells=None)
    (folder / "none.mkv").write_bytes(b"no video")
    scraper = Scraper(url, begin)
    run = kit.run("measured", [*clips(folder, 6), Entry("none", str(folder / "none.mkv"), {}, str(folder / "none.mkv"))])
    deadline = time.monotonic() + _EXPORTED_S
    while not scraper.all_told(len(run.entries())) and time.monotonic() < deadline:
        time.sleep(0.5)
    print(json.dumps(list(scraper.last.values())))  # noqa: T201 -- what the test reads
    ray.shutdown()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4])
