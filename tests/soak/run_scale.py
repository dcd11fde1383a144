"""`make scale` runs 100,000 videos that cost nothing, `python tests/soak/run_scale.py --videos N` any number.

Prints what a video costs, in time and in the driver's memory, which processes spend it, and whether Ray spilled; ends with 1 where a
limit is broken.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "support"), str(Path(__file__).resolve().parents[2])]

import fakes  # noqa: E402 -- found on the path just set
import nulls  # noqa: E402
from rumiai_ray.engine.ray_session.local import local_ray  # noqa: E402
from scale import MAX_BYTES_A_VIDEO, measure  # noqa: E402


def main() -> None:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=100_000)
    parser.add_argument("--models", type=int, default=1)
    parser.add_argument("--cells", type=int, default=1)
    arguments = parser.parse_args()
    with ExitStack() as held:
        place = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="scale-")))
        here = held.enter_context(local_ray(beside=[Path(fakes.__file__), Path(nulls.__file__)]))
        figures = measure(here, place, arguments.videos, arguments.models, arguments.cells)
    for name, value in asdict(figures).items():
        for label, figure in value.items() if isinstance(value, dict) else [("", value)]:
            print(f"{name} {label}".ljust(44), f"{figure:,.2f}")
    if figures.driver_bytes_per_video > MAX_BYTES_A_VIDEO or figures.spilled_mb:
        sys.exit(f"too much: the driver may grow by {MAX_BYTES_A_VIDEO} bytes a video, and nothing may spill")


if __name__ == "__main__":
    main()
