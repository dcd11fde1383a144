"""A batch in simulated time: readers that take blocks, cells whose models sleep, and the queue between them. No Ray, no waiting."""

from __future__ import annotations

import heapq
import random
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

from rumiai_ray.ingest.entries import Entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence


ROW_S = 16.0
"""Seconds of video in a row of work."""


@dataclass
class Batch:
    """The machines, and how long everything takes.

    As in the engine, rows go to the cell that has least to do, a cell takes `in_flight` of them, each of its models has one actor that
    answers in order, and readers wait while `queue` rows wait.
    """

    readers: int = 4
    cells: int = 4
    in_flight: int = 3
    queue: int = 16
    read_s: float = 0.1
    """To fetch and decode a second of video."""
    models: Mapping[str, float] = field(default_factory=lambda: {"text": 1.5, "faces": 0.5})
    """Seconds a row, by model."""

    def least_s(self, lengths_s: Sequence[float]) -> float:
        """max(work / actors, longest chain): no order can end before."""
        rows = sum(map(rows_of, lengths_s))
        analysis_s = max(self.models.values()) * rows / self.cells
        reading_s = self.read_s * sum(lengths_s) / self.readers
        return max(analysis_s, reading_s, self.read_s * max(lengths_s) + max(self.models.values()))

    def run(self, blocks: Sequence[Sequence[Entry]], length_s: Callable[[Entry], float]) -> tuple[float, float]:
        """(when the first entry is whole, when the last one is)."""
        return _Simulation(self, blocks, length_s).ends()


def rows_of(length_s: float) -> int:
    """Rows of work of a video."""
    return max(1, round(length_s / ROW_S))


class _Simulation:
    def __init__(self, batch: Batch, blocks: Sequence[Sequence[Entry]], length_s: Callable[[Entry], float]) -> None:
        self.batch = batch
        self.now_s = 0.0
        self.events: list[tuple[float, int, Callable[[], None]]] = []
        self.numbers = count()
        self.waiting: deque[str] = deque()
        self.blocked: deque[Callable[[], None]] = deque()
        self.held = [0] * batch.cells
        self.free_s = [dict.fromkeys(batch.models, 0.0) for _ in range(batch.cells)]
        self.left = {entry.entry_id: rows_of(length_s(entry)) for block in blocks for entry in block}
        self.whole_s: list[float] = []
        taken = iter(blocks)
        for _ in range(batch.readers):
            self.read(self.rows(taken, length_s))

    def ends(self) -> tuple[float, float]:
        while self.events:
            self.now_s, _, happens = heapq.heappop(self.events)
            happens()
        assert not any(self.left.values()), "every row is answered"
        return self.whole_s[0], self.whole_s[-1]

    def after(self, seconds: float, happens: Callable[[], None]) -> None:
        heapq.heappush(self.events, (self.now_s + seconds, next(self.numbers), happens))

    def rows(self, blocks: Iterator[Sequence[Entry]], length_s: Callable[[Entry], float]) -> Iterator[tuple[float, str]]:
        """(time to make it, entry) of each row of one reader, which takes a block when it has done the last one."""
        for block in blocks:
            for entry in block:
                number = rows_of(length_s(entry))
                for _ in range(number):
                    yield self.batch.read_s * length_s(entry) / number, entry.entry_id

    def read(self, rows: Iterator[tuple[float, str]]) -> None:
        made = next(rows, None)
        if made is not None:
            took_s, name = made
            self.after(took_s, lambda: self.put(name, rows))

    def put(self, name: str, rows: Iterator[tuple[float, str]]) -> None:
        if len(self.waiting) >= self.batch.queue:
            self.blocked.append(lambda: self.put(name, rows))
            return
        self.waiting.append(name)
        self.feed()
        self.read(rows)

    def feed(self) -> None:
        while self.waiting and min(self.held) < self.batch.in_flight:
            cell = self.held.index(min(self.held))
            self.held[cell] += 1
            self.after(self.answered_in_s(cell), partial(self.answered, cell, self.waiting.popleft()))
        while self.blocked and len(self.waiting) < self.batch.queue:
            self.blocked.popleft()()

    def answered_in_s(self, cell: int) -> float:
        free_s = self.free_s[cell]
        for model, took_s in self.batch.models.items():
            free_s[model] = max(free_s[model], self.now_s) + took_s
        return max(free_s.values()) - self.now_s

    def answered(self, cell: int, name: str) -> None:
        self.held[cell] -= 1
        self.left[name] -= 1
        if not self.left[name]:
            self.whole_s.append(self.now_s)
        self.feed()


LONG_S = 1200.0
READ_BOUND = Batch(read_s=1.0, models={"text": 1.0})
"""Reading is what takes longest, as on cells with GPUs."""
MODEL_BOUND = Batch(read_s=0.1, models={"text": 3.0, "faces": 1.0})


def of_length(name: str, length_s: float | None) -> Entry:
    """An entry whose manifest says how long it is; None where it does not."""
    columns = {} if length_s is None else {"duration": f"{length_s:.2f}"}
    return Entry(name, f"https://videos.example/{name}", columns, f"https://videos.example/{name}")


def skewed(long_at: int, *, known: bool = True) -> tuple[list[Entry], dict[str, float]]:
    """200 videos of 10 to 60 s and, at that place among them, one of 20 minutes."""
    dice = random.Random(5)
    lengths = {f"e{number}": dice.uniform(10, 60) for number in range(200)}
    names = [*lengths]
    names.insert(long_at, "long")
    lengths["long"] = LONG_S
    return [of_length(name, lengths[name] if known else None) for name in names], lengths


def as_before(entries: Sequence[Entry], readers: int) -> list[list[Entry]]:
    """The blocks of before there was an order: as given, all of one size."""
    size = max(1, min(16, len(entries) // (4 * readers)))
    return [list(entries[at : at + size]) for at in range(0, len(entries), size)]
