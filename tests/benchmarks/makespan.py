"""How long a batch takes in which one video is much longer than the others: now, and with the blocks of before, in simulated time.

Run it with `PYTHONPATH=tests/support .venv/bin/python tests/benchmarks/makespan.py`; it takes a second.
"""

from __future__ import annotations

from rumiai_ray.engine.work.reading_order import blocks_of
from simulated_batch import LONG_S, MODEL_BOUND, READ_BOUND, as_before, skewed


def main() -> None:
    """Print a table: time over max(work / actors, longest chain), and when the first video was whole."""
    print(f"200 videos of 10 to 60 s and one of {LONG_S:g} s, 4 readers, 4 cells; 1.00 is the least time")
    print("bound by  length   long at  before   now   first before   first now")
    for name, batch in (("reading", READ_BOUND), ("models", MODEL_BOUND)):
        for known in (True, False):
            for long_at in (0, 37, 100, 190, 200):
                entries, lengths = skewed(long_at, known=known)
                least_s = batch.least_s([*lengths.values()])
                ends = [batch.run(blocks, lambda entry, of=lengths: of[entry.entry_id])  # type: ignore[misc]
                        for blocks in (as_before(entries, batch.readers), blocks_of(entries, batch.readers, 16))]  # fmt: skip
                (first_s, before_s), (first_now_s, now_s) = ends
                how = "known" if known else "unknown"
                figures = f"{before_s / least_s:6.2f} {now_s / least_s:6.2f} {first_s:12.0f} s {first_now_s:9.0f} s"
                print(f"{name:9} {how:8} {long_at:7} {figures}")


if __name__ == "__main__":
    main()
