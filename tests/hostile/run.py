"""Everything a stranger can hand in, tried: malformed files, damaged runs and stores, bad origins, and fuzzing. `make hostile` is this.

    python tests/hostile/run.py [--quick] [--seed N] [--case NAME] [--fuzz-s SECONDS]

Fuzzing comes first, two targets at a time, with the bad origins and posts beside it; then the files. Prints what was tried and five
zeros; exit code 1 where one of them is none. `--seed N --case NAME` repeats one case; the input of a fault
that fuzzing found is kept, and `--case fuzz:TARGET:FILE` repeats it.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import resource
import select
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
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
FUZZ_S = 300.0
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
        self._fuzzing: list[str] = []
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

    def fuzzed(self, target: str, counts: dict[str, dict[str, int]], seconds: float) -> None:
        """Add what the fuzzing of one target has tried."""
        tried = {name: sum(outcomes.values()) for name, outcomes in counts.items()}
        with self._lock:
            section = self.sections.setdefault("fuzz", Counter())
            section["tried"] += sum(tried.values())
            for outcomes in counts.values():
                section.update(outcomes)
            self._fuzzing.append(f"{target}, {seconds:.0f} s: {', '.join(f'{name} {count:,}' for name, count in tried.items())}")

    def broken(self, zero: str, what: str) -> None:
        """Add a fault that the fuzzing has found."""
        with self._lock:
            self.zeros[zero] += 1
            sys.stdout.write(f"BROKEN {what}\n")

    def lines(self) -> list[str]:
        """The figures for people."""
        total = sum(self.sections.values(), Counter())
        rows = [*sorted(self.sections.items()), ("all", total)]
        head = [f"{name:8} {c['tried']:>9,} tried, {c['refused']:>9,} refused, {c['analysed']:>9,} analysed" for name, c in rows]
        return [*head, *(f"fuzz {line}" for line in self._fuzzing), *(f"{name}: {self.zeros[name]}" for name in ZEROS)]


def run_cases(cases: list[str], seed: int, tally: Tally, workers: int = WORKERS) -> None:
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

    threads = [threading.Thread(target=serve) for _ in range(min(workers, len(cases)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def fuzz(seconds: float, seed: int, tally: Tally) -> None:
    """Fuzz every target for `seconds`, as many at a time as there are workers."""
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(lambda target: _fuzz(target, seconds, seed, tally), hostile_targets.TARGETS))


def _fuzz(target: str, seconds: float, seed: int, tally: Tally) -> None:
    folder, begun, begun_s = KEPT / f"{target}-{seed}", time.time(), time.monotonic()
    options = [f"-max_total_time={max(1, round(seconds))}", f"-seed={seed + 1}", "-timeout=20", "-rss_limit_mb=3000", "-max_len=8192"]
    command = [sys.executable, str(ROOT / "tests" / "hostile" / "fuzz.py"), target, str(folder), *options]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "counts.json").unlink(missing_ok=True)
    with (folder / "log").open("wb") as log:
        code = subprocess.run(command, cwd=ROOT, stdout=log, stderr=log, check=False).returncode
    counts = folder / "counts.json"
    tally.fuzzed(target, json.loads(counts.read_text()) if counts.exists() else {}, time.monotonic() - begun_s)
    artefacts = [path for kind in ("crash", "timeout", "oom", "leak") for path in folder.glob(f"{kind}-*")]
    found = [path for path in artefacts if path.stat().st_mtime >= begun]  # an earlier run with this seed has left its own
    if code or found:
        is_native = not (folder / "log").read_text(errors="replace").count("Uncaught Python exception")
        zero = "hangs" if any(path.name.startswith("timeout") for path in found) else ZEROS[0] if is_native else ZEROS[-1]
        tally.broken(zero, f"fuzz:{target}:{found[0] if found else folder / 'log'}: exit code {code}")


def repeat(case: str, seed: int) -> int:
    """Run one case and show how it ends; returns the exit code."""
    section, target, name = case.split(":", 2)
    if section == "fuzz":
        function, data = hostile_targets.chosen(target, Path(name).read_bytes())
        sys.stdout.write(f"{function}: {hostile_targets.tried(function, data)}\n")
        return 0
    tally = Tally()
    run_cases([case], seed, tally)
    sys.stdout.write("\n".join([*tally.lines(), ""]))
    return 1 if any(tally.zeros.values()) else 0


def _cost(seconds: float) -> str:
    children, busy = resource.getrusage(resource.RUSAGE_CHILDREN), ", ".join(f"{load:.1f}" for load in os.getloadavg())
    return f"{seconds:.0f} s, {children.ru_utime + children.ru_stime:.0f} s of CPU; load of the machine over 1, 5, 15 minutes: {busy}"


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
        sys.stdout.write(
            "atheris is not installed, and the fuzzing needs it: .venv/bin/python -m pip install -c cluster/constraints.txt atheris\n"
        )
        return 2
    sys.stdout.write(f"seed {chosen.seed}; repeat one case with: --seed {chosen.seed} --case NAME\n")
    sys.stdout.flush()
    tally, begun_s = Tally(), time.monotonic()
    seconds = chosen.fuzz_s or (QUICK_FUZZ_S if chosen.quick else FUZZ_S)
    cases = hostile_cases.cases(quick=chosen.quick)
    waiting = [case for case in cases if case.partition(":")[0] in hostile_cases.BESIDE]
    beside = threading.Thread(target=run_cases, args=(waiting, chosen.seed, tally, 1))
    beside.start()
    fuzz(seconds, chosen.seed, tally)
    beside.join()
    run_cases([case for case in cases if case not in waiting], chosen.seed, tally)
    sys.stdout.write("\n".join([*tally.lines(), _cost(time.monotonic() - begun_s), ""]))
    return 1 if any(tally.zeros.values()) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
