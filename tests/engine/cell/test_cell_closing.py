"""Ending a cell, without Ray: what cannot be ended keeps nothing else alive."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from rumiai_ray.engine.cell import cell as cells


class _Ended:
    """A Ray that notes what is ended, and refuses what it is told to refuse."""

    def __init__(self, refused: dict[str, Exception]) -> None:
        self.ended: list[str] = []
        self._refused = refused

    def __call__(self, thing: Any, **_: object) -> None:
        name = thing if isinstance(thing, str) else "group"
        self.ended.append(name)
        if name in self._refused:
            raise self._refused[name]


@pytest.mark.parametrize(
    "refused",
    [
        {"front": ValueError("never created")},
        {"yolo-0": ValueError("never created"), "ocr-0": RuntimeError("no connection")},
        {"group": ConnectionError("no connection")},
        {name: ValueError(name) for name in ("front", "yolo-0", "yolo-1", "ocr-0", "group")},
    ],
)
def test_closing_a_cell_ends_every_actor_and_its_resources_whatever_one_of_them_answers(
    monkeypatch: pytest.MonkeyPatch, refused: dict[str, Exception]
) -> None:
    ended = _Ended(refused)
    monkeypatch.setattr(cells, "ray", SimpleNamespace(kill=ended))
    monkeypatch.setattr(cells, "remove_placement_group", ended)
    group: Any = SimpleNamespace(id=SimpleNamespace(hex=lambda: "0" * 36))
    spec: Any = None
    cells.Cell(spec, "front", {"yolo": ["yolo-0", "yolo-1"], "ocr": ["ocr-0"]}, group).close()
    assert ended.ended == ["front", "yolo-0", "yolo-1", "ocr-0", "group"]


def test_a_cell_that_cannot_be_started_gives_its_resources_back(monkeypatch: pytest.MonkeyPatch) -> None:
    removed: list[object] = []
    monkeypatch.setattr(cells, "remove_placement_group", removed.append)
    group: Any = SimpleNamespace(wait=lambda _: True)
    broken: Any = SimpleNamespace()  # no plans
    monkeypatch.setattr(cells, "PlacementGroupSchedulingStrategy", lambda **_: None)
    with pytest.raises(AttributeError):
        cells.start(broken, group)
    assert removed == [group]
