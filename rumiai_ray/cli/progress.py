"""Progress for people, on stderr: a bar for each model of each video under way."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from rumiai_ray.cli.terminal import SafeConsole
from rumiai_ray.schema.run import DEAD_LETTER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa
    from rich.console import Console

    from rumiai_ray.engine.work.item import VideoPlan
    from rumiai_ray.ingest.entries import Entry
    from rumiai_ray.models.base import ModelPlan


class ProgressBars:
    """An `engine.interactive.Reporter` that draws on a terminal, and prints plain lines where there is none."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._stage: TaskID | None = None
        self._tasks: dict[tuple[str, str], TaskID] = {}
        self.bars = Progress(
            TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            console=console, transient=True,
        )  # fmt: skip

    def stage(self, text: str) -> None:
        """One line that is replaced by the next stage."""
        if not self._console.is_terminal:
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)
        elif self._stage is None:
            self._stage = self.bars.add_task(text, total=None)
        else:
            self.bars.update(self._stage, description=text)

    def planned(self, entry: Entry, plan: VideoPlan) -> None:
        """A bar for every model that runs on the video."""
        self.stage(f"analysing {entry.input}")
        for model, frames in (*plan.frames.items(), *((model, None) for model in (*plan.audio, *plan.thumbnails))):
            if (earlier := self._tasks.get((plan.video_key, model))) is not None:  # the video goes round again
                self.bars.remove_task(earlier)
            self._tasks[plan.video_key, model] = self.bars.add_task(f"  {model}", total=frames)

    def progress(self, video_key: str, model: str, answered: int) -> None:
        """Move one bar."""
        task = self._tasks.get((video_key, model))
        if task is not None:
            self.bars.advance(task, answered)

    def ended(self, entry: Entry, tables: Mapping[str, pa.Table]) -> None:
        """Remove the bars of videos that are done; a dead letter is said at once."""
        if DEAD_LETTER.name in tables:
            row = tables[DEAD_LETTER.name].to_pylist()[0]
            self._console.print(f"{row['error_class']}: {row['error_message']}", markup=False, highlight=False, style="red", soft_wrap=True)
        for table in tables.values():
            for key in set(table["video_key"].to_pylist()):
                for pair in [pair for pair in self._tasks if pair[0] == key]:
                    self.bars.remove_task(self._tasks.pop(pair))
        del entry


@contextlib.contextmanager
def progress_to_stderr(models: Sequence[ModelPlan]) -> Iterator[ProgressBars]:
    """Say what will run, then bars until the block ends."""
    console = SafeConsole(stderr=True)
    for model in models:
        note = model.remark
        console.print(
            f"{model.name:10} {model.backend} {model.version}, {model.device} {model.precision}{note}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    reporter = ProgressBars(console)
    with reporter.bars:
        yield reporter
