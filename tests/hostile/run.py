"""Everything a stranger can hand in, tried: malformed files, damaged runs and stores, bad origins, and fuzzing. `make hostile` is this.

    python tests/hostile/run.py [--quick] [--seed N] [--case NAME] [--fuzz-s SECONDS]

Prints what was tried and four zeros; exit code 1 where one of them is none. `--seed N --case NAME` repeats one case; the input of a fault
that fuzzing found is kept, and `--case fuzz:TARGET:FILE` repeats it.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import select
import subprocess
import sys
import threading
import time
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SUPPORT = ROOT / "tests" / "support"
sys.path[:0] = [str(ROOT), str(SUPPORT)]

import hostile_cases
import hostile_targets

HANG_S = 90.0
"""A case that takes longer hangs: its own limits, 25 s for decoding and 3 s for fetching, should have ended it."""
START_S = 300.0
FUZZ_S = 35.0
QUICK_FUZZ_S = 3.0
WORKERS = 2
KEPT = ROOT / "build" / "hostile"
ZEROS = ("deaths outside the cage", "hangs", "bytes written outside", "requests to inside addresses", "errors without a name")


class Worker:
    """A process that runs cases; it may die or hang."""

    def __init__(self, seed: int) -> None:
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{SUPPORT}"}
        self._process = subprocess.Popen(
            [sys.executable, str(SUPPORT / "hostile_cases.py"), str(seed)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
            start_new_session=True,
        )
        self._fresh = True

    def run(self, case: str) -> hostile_cases.Done | str:
        """How the case ended; `hangs` or `deaths outside the cage` where it did not."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the worker has no pipes")
        try:
            self._process.stdin.write(case + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return "deaths outside the cage"
        readable, _, _ = select.select([self._process.stdout], [], [], HANG_S + (START_S if self._fresh else 0.0))
        self._fresh = False
        if not readable:
            self._process.kill()
            return "hangs"
        line = self._process.stdout.readline()
        return hostile_cases.Done(**json.loads(line)) if line else "deaths outside the cage"

    def close(self) -> None:
        """End the process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()


class Tally:
    """What has been counted, by section and by zero."""

    def __init__(self) -> None:
        self.sections: dict[str, Counter[str]] = {}
        self.zeros: Counter[str] = Counter(dict.fromkeys(ZEROS, 0))
        self._lock = threading.Lock()

    def count(self, case: str, done: hostile_cases.Done | str) -> None:
        """Add one case and print it where it breaks a zero."""
        with self._lock:
            section = self.sections.setdefault(case.split(":", maxsplit=1)[0], Counter())
            section["tried"] += 1
            if isinstance(done, str):
                self.zeros[done] += 1
                section["broken"] += 1
                sys.stdout.write(f"BROKEN {case}: {done}\n")
                return
            section[done.outcome] += 1
            self.zeros["bytes written outside"] += done.written_outside_bytes
            self.zeros["requests to inside addresses"] += done.inside_requests
            self.zeros["errors without a name"] += bool(done.fault)
            if done.fault or done.written_outside_bytes or done.inside_requests:
                sys.stdout.write(f"BROKEN {case}: {done.fault} {done.detail}\n")

    def lines(self) -> list[str]:
        """The figures for people."""
        total = sum(self.sections.values(), Counter())
        rows = [*sorted(self.sections.items()), ("all", total)]
        head = [f"{name:8} {c['tried']:>9,} tried, {c['refused']:>9,} refused, {c['analysed']:>9,} analysed" for name, c in rows]
        return [*head, *(f"{name}: {self.zeros[name]}" for name in ZEROS)]


def run_cases(cases: list[str], seed: int, tally: Tally) -> None:
    """Run cases in worker processes, beside each other."""
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    for case in cases:
        waiting.put(case)

    def serve() -> None:
        worker = Worker(seed)
        while True:
            try:
                case = waiting.get_nowait()
            except queue.Empty:
                break
            done = worker.run(case)
            tally.count(case, done)
            if isinstance(done, str):
                worker.close()
                worker = Worker(seed)
        worker.close()

    threads = [threading.Thread(target=serve) for _ in range(min(WORKERS, len(cases)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def fuzz(seconds: float, seed: int, tally: Tally) -> None:
    """Fuzz every target for `seconds`, one after another."""
    for target in hostile_targets.TARGETS:
        folder = KEPT / f"{target}-{seed}"
        options = [f"-max_total_time={max(1, round(seconds))}", f"-seed={seed + 1}", "-timeout=20", "-rss_limit_mb=3000", "-max_len=4096"]
        command = [sys.executable, str(ROOT / "tests" / "hostile" / "fuzz.py"), target, str(folder), *options]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "counts.json").unlink(missing_ok=True)
        with (folder / "log").open("wb") as log:
            code = subprocess.run(command, cwd=ROOT, stdout=log, stderr=log, check=False).returncode
        counts = folder / "counts.json"
        section = tally.sections.setdefault("fuzz", Counter())
        section.update(json.loads(counts.read_text()) if counts.exists() else {})
        found = [path for kind in ("crash", "timeout", "oom", "leak") for path in folder.glob(f"{kind}-*")]
        if code or found:
            is_native = not (folder / "log").read_text(errors="replace").count("Uncaught Python exception")
            zero = "hangs" if any(path.name.startswith("timeout") for path in found) else ZEROS[0] if is_native else ZEROS[-1]
            tally.zeros[zero] += 1
            sys.stdout.write(f"BROKEN fuzz:{target}:{found[0] if found else folder / 'log'}: exit code {code}\n")


def repeat(case: str, seed: int) -> int:
    """Run one case and show how it ends; returns the exit code."""
    section, target, name = case.split(":", 2)
    if section == "fuzz":
        sys.stdout.write(hostile_targets.tried(target, Path(name).read_bytes()) + "\n")
        return 0
    tally = Tally()
    run_cases([case], seed, tally)
    sys.stdout.write("\n".join([*tally.lines(), ""]))
    return 1 if any(tally.zeros.values()) else 0


def main(arguments: list[str]) -> int:
    """Run it; returns the exit code."""
    parser = argparse.ArgumentParser(description="Try everything that a stranger can hand in.")
    parser.add_argument("--quick", action="store_true", help="a minute or two: a share of everything")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 100_000, help="repeats a run's dice")
    parser.add_argument("--case", help="repeat one case of that seed")
    parser.add_argument("--fuzz-s", type=float, help=f"seconds for each of {len(hostile_targets.TARGETS)} fuzzing targets")
    chosen = parser.parse_args(arguments)
    if chosen.case:
        return repeat(chosen.case, chosen.seed)
    if find_spec("atheris") is None:
        sys.stdout.write("atheris is not installed, and the fuzzing needs it: .venv/bin/python -m pip install -e '.[hostile]'\n")
        return 2
    sys.stdout.write(f"seed {chosen.seed}; repeat one case with: --seed {chosen.seed} --case NAME\n")
    sys.stdout.flush()
    tally, begun = Tally(), time.monotonic()
    seconds = chosen.fuzz_s or (QUICK_FUZZ_S if chosen.quick else FUZZ_S)
    fuzzing = threading.Thread(target=fuzz, args=(seconds, chosen.seed, tally))
    fuzzing.start()
    run_cases(hostile_cases.cases(quick=chosen.quick), chosen.seed, tally)
    fuzzing.join()
    sys.stdout.write("\n".join([*tally.lines(), f"{time.monotonic() - begun:.0f} s", ""]))
    return 1 if any(tally.zeros.values()) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
