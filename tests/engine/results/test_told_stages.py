"""What `rumiai-ray CLIP` says it is doing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from fakes import SAMPLED
from rumiai_ray.engine.cell.messages import Activity, ModelActivity
from rumiai_ray.engine.interactive import _Reported
from rumiai_ray.engine.results.drive_state import DriveState
from rumiai_ray.engine.work.counts import Tally
from rumiai_ray.engine.work.item import VideoPlan
from rumiai_ray.ingest.entries import Entry

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

PLAN = VideoPlan("v", {}, (), {}, (), (), 1, SAMPLED)
SINK: Any = SimpleNamespace(import_ahead=lambda: None)


class Listener:
    """A reporter that writes down the stages; a planned video is one, as on the terminal."""

    def __init__(self) -> None:
        self.stages: list[str] = []

    def stage(self, text: str) -> None:
        self.stages.append(text)

    def planned(self, entry: Entry, plan: VideoPlan) -> None:
        assert plan
        self.stages.append(f"analysing {entry.input}")

    def progress(self, video_key: str, model: str, answered: int) -> None:
        raise AssertionError(f"nothing was answered: {video_key}, {model}, {answered}")

    def ended(self, entry: Entry, tables: Mapping[str, pa.Table]) -> None:
        raise AssertionError(f"nothing has ended: {entry}, {tables}")


def state(loaded: int, rows: int = 1) -> DriveState:
    models = {str(number): ModelActivity(1, int(number < loaded), 0, 0.0, 0.0) for number in range(3)}
    return DriveState(0, 1, Tally(), cells=1, rows=rows, activity=[Activity("front", models)])


def test_models_are_counted_while_they_load_and_then_the_video_is_named_again() -> None:
    listener = Listener()
    told = _Reported(listener, SINK, models=3)
    told.stage("reading")
    told.planned(Entry("a", "a.mp4"), PLAN)
    told.stage("starting Ray and loading models")
    told.tick(DriveState(0, 1, Tally(), rows=1))
    for loaded in (0, 0, 2, 3, 3):
        told.tick(state(loaded))
    assert listener.stages == [
        "reading",
        "analysing a.mp4",
        "starting Ray and loading models",
        "loading models, 0 of 3",
        "loading models, 2 of 3",
        "analysing a.mp4",
    ]


def test_a_warm_cell_says_nothing_of_loading() -> None:
    listener = Listener()
    told = _Reported(listener, SINK, models=3)
    told.planned(Entry("a", "a.mp4"), PLAN)
    told.tick(state(3))
    told.tick(state(3, rows=0))
    assert listener.stages == ["analysing a.mp4"]
