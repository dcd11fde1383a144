"""Cells that Ray places on nodes which come during a run, without a Ray: where they stay, and what is left to reading."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ray.exceptions import RayError

from rumiai_ray.engine.cell import supply
from rumiai_ray.engine.cell.placement import Placement
from rumiai_ray.engine.setup.resource_plan import CellShape, Machine, Share
from rumiai_ray.errors import TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence


@dataclass(eq=False)
class Group:
    """A request for a cell's resources."""

    barred: frozenset[str]
    node: str | None = None

    @property
    def id(self) -> Any:
        return self

    def hex(self) -> str:
        return str(id(self))


@dataclass(eq=False)
class Cell:
    cluster: Cluster
    group: Group

    def close(self) -> None:
        self.cluster.groups.remove(self.group)


@dataclass
class Cluster:
    """Nodes that place requests as Ray does: wherever there is room, the first in line first, with no thought of anybody's reading."""

    cell_cpus: float
    nodes: dict[str, Machine] = field(default_factory=dict)
    groups: list[Group] = field(default_factory=list)
    dice: random.Random | None = None
    cell_memory_gb: float = 0.0
    """Ray knows nothing of it."""
    requests: int = 0
    """Requests made so far."""

    def add(self, cpus: float, gpus: int = 0, memory_gb: float = 1024) -> None:
        self.nodes[f"n{len(self.nodes)}"] = Machine(cpus, memory_gb, gpus, name=f"node n{len(self.nodes)}")

    def free(self, node: str) -> float:
        return self.nodes[node].cpus - self.cell_cpus * sum(group.node == node for group in self.groups)

    def ask(self, _: object, without: Collection[str]) -> Group:
        self.requests += 1
        self.groups.append(Group(frozenset(without)))
        return self.groups[-1]

    def place(self) -> None:
        for group in self.groups:
            nodes = list(self.nodes)
            if self.dice is not None:
                self.dice.shuffle(nodes)
            room = [node for node in nodes if node not in group.barred and self.free(node) >= self.cell_cpus - 1e-9]
            if group.node is None and room:
                group.node = room[0]

    def remove(self, group: Group) -> None:
        self.groups.remove(group)
        self.place()  # what waits takes the place at once

    @property
    def seats(self) -> int:
        """Reading tasks that have a CPU."""
        return sum(int(self.free(node) + 1e-9) for node in self.nodes)


def supply_of(cluster: Cluster, patch: pytest.MonkeyPatch, news: Callable[[], Sequence[str]] = tuple) -> supply.OwnCells:
    patch.setattr(supply, "ask", cluster.ask)
    patch.setattr(supply, "start", lambda _, group: Cell(cluster, group))
    patch.setattr(supply, "node_of", lambda group: group.node)
    patch.setattr(supply, "remove_placement_group", cluster.remove)
    patch.setattr(supply, "_LOOK_S", 0.0)
    shape = CellShape(cluster.cell_cpus, 0.0, 0.0, (Share("model", 1, cluster.cell_cpus, 0.0, cluster.cell_memory_gb, 0.0),))
    spec: Any = type("Spec", (), {"shape": shape})
    return supply.OwnCells(spec, 60, placement=Placement(shape, lambda: cluster.nodes, news))


@pytest.fixture
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as context:
        yield context


def settled(cluster: Cluster, cells: supply.OwnCells) -> list[Any]:
    """The cells that come while Ray places and the run looks, until nothing changes any more."""
    came: list[Any] = []
    for _ in range(4):
        cluster.place()
        came += cells.arrived(urgent=True)
    return came


def test_a_node_of_two_cpus_keeps_one_for_reading_and_the_cells_too_many_wait_for_the_next(patch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(cell_cpus=1)
    cells = supply_of(cluster, patch)
    for _ in range(4):
        cells.ask()
    counts = []
    for _ in range(5):
        counts.append((len(settled(cluster, cells)), cells.asked, cluster.seats))
        cluster.add(2)
    assert counts == [(0, 4, 0), (1, 3, 1), (1, 2, 2), (1, 1, 3), (1, 0, 4)]


def test_of_nodes_with_one_cpu_the_first_reads_and_the_others_hold_cells(patch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(cell_cpus=1)
    cells = supply_of(cluster, patch)
    for _ in range(4):
        cells.ask()
    counts = []
    for _ in range(5):
        cluster.add(1)
        counts.append((len(settled(cluster, cells)), cells.asked, cluster.seats))
    assert counts == [(0, 4, 1), (1, 3, 1), (1, 2, 1), (1, 1, 1), (1, 0, 1)]


def test_a_cell_that_is_replaced_finds_room_where_the_broken_one_was(patch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(cell_cpus=1)
    cells = supply_of(cluster, patch)
    cluster.add(2)
    cells.ask()
    cells.ask()
    (broken,) = settled(cluster, cells)
    assert cells.asked == 1
    cells.end(broken)
    assert len(settled(cluster, cells)) == 1
    assert cluster.seats == 1


def test_a_node_that_is_gone_bars_nothing(patch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(cell_cpus=1)
    cells = supply_of(cluster, patch)
    cluster.add(2)
    cells.ask()
    cells.ask()
    (lost,) = settled(cluster, cells)
    del cluster.nodes["n0"]
    cells.end(lost)
    cells.ask()
    cluster.add(4)
    assert (len(settled(cluster, cells)), cells.asked, cluster.seats) == (2, 0, 2)


def test_a_node_whose_memory_is_full_is_asked_for_no_further_cell(patch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(cell_cpus=1.75, cell_memory_gb=7.3)
    cells = supply_of(cluster, patch)
    cluster.add(7, memory_gb=26.5)
    for _ in range(6):
        cells.ask()
    assert len(settled(cluster, cells)) == 3
    requests = cluster.requests
    for _ in range(5):
        assert settled(cluster, cells) == []
    assert cluster.requests == requests, "the node is barred, so that there is nothing to ask again"
    assert requests <= 6 + 6
    assert cells.asked == 3
    assert cluster.seats >= 1
    cluster.add(7, memory_gb=26.5)
    assert (len(settled(cluster, cells)), cells.asked) == (3, 0)


def test_a_small_node_holds_a_cell_once_another_that_holds_none_reads_for_it(patch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(cell_cpus=2)
    cells = supply_of(cluster, patch)
    cluster.add(2)
    cells.ask()
    assert settled(cluster, cells) == []
    cluster.add(1)
    assert (len(settled(cluster, cells)), cells.asked, cluster.seats) == (1, 0, 1)


def test_nodes_are_looked_at_once_a_second_however_often_requests_are(patch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(cell_cpus=2)
    cells = supply_of(cluster, patch)
    cluster.add(2)
    cells.ask()
    settled(cluster, cells)
    patch.setattr(supply, "_LOOK_S", 3600.0)
    patch.setattr(supply, "_URGENT_LOOK_S", 0.0)
    cluster.add(1)
    assert settled(cluster, cells) == []
    patch.setattr(supply, "_LOOK_S", 0.0)
    assert len(settled(cluster, cells)) == 1


def test_a_cell_that_ray_has_moved_onto_the_last_cpu_of_another_node_is_found_and_makes_way(patch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(cell_cpus=1)
    cells = supply_of(cluster, patch)
    cluster.add(2)
    cluster.add(2)
    cells.ask()
    cells.ask()
    first, second = settled(cluster, cells)
    assert (first.group.node, second.group.node, cluster.seats) == ("n0", "n1", 2)
    assert cells.moved() == []
    del cluster.nodes["n1"]
    second.group.node = None
    assert cells.moved() == [], "Ray has found no other node yet"
    second.group.node = "n0"
    assert cluster.seats == 0
    assert cells.moved() == [second]
    cells.end(second)
    assert cells.moved() == []
    cells.ask()
    assert (settled(cluster, cells), cells.asked, cluster.seats) == ([], 1, 1)
    cluster.add(2)
    assert (len(settled(cluster, cells)), cells.asked, cluster.seats) == (1, 0, 2)


def test_a_head_that_does_not_say_which_nodes_there_are_ends_no_run(patch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", logger="rumiai_ray")
    cluster = Cluster(cell_cpus=1)
    cells = supply_of(cluster, patch)
    cluster.add(2)
    cells.ask()
    assert len(settled(cluster, cells)) == 1

    def silent() -> dict[str, Machine]:
        raise RayError("the head is being restarted")

    patch.setattr(cells._placement, "_list", silent)
    assert cells.moved() == []
    assert "looking whether Ray has moved cells: RayError: the head is being restarted" in caplog.text


def test_cells_that_wait_are_spoken_of_with_the_reason_once_and_again_when_it_changes(
    patch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    patch.setattr(supply, "_NEWS_S", 0.0)
    news = ["node type cpu could not be started: quota"]
    cluster = Cluster(cell_cpus=2)
    cells = supply_of(cluster, patch, lambda: news)
    cells.ask()
    cells.ask()
    settled(cluster, cells)
    quota = "node type cpu could not be started: quota"
    assert caplog.messages == [f"2 of 2 cells wait for 2 CPU each, none is running; {quota}"]
    cluster.add(3)
    settled(cluster, cells)
    assert caplog.messages[1:] == [f"1 of 2 cells wait for 2 CPU each, the run goes on with 1; {quota}"]
    cluster.add(1)
    settled(cluster, cells)
    assert len(caplog.messages) == 3
    assert "; node n1 (1 CPUs, 1024 GB) is too small for a cell beside a reading task; " in caplog.messages[2]


@dataclass
class Unreadable:
    """A cluster status that Ray's own parser does not understand, or a head that answers no question."""

    error: Exception

    def __call__(self) -> list[str]:
        raise self.error


@pytest.mark.parametrize("error", [ValueError("no such field"), KeyError("node_states"), TimeoutError("Ray's head")])
def test_reasons_that_cannot_be_had_end_no_run(error: Exception, patch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    patch.setattr(supply, "_NEWS_S", 0.0)
    caplog.set_level("DEBUG", logger="rumiai_ray")
    cluster = Cluster(cell_cpus=2)
    cells = supply_of(cluster, patch, Unreadable(error))
    cells.ask()
    assert settled(cluster, cells) == []
    assert "1 of 1 cells wait for 2 CPU each, none is running" in caplog.messages
    assert f"asking why cells wait: {type(error).__name__}: {error}" in caplog.messages
    patch.setattr(cells, "_place_timeout_s", 0.0)
    with pytest.raises(TransientError, match=r"no node had .* free within 0 s"):
        settled(cluster, cells)


def test_a_run_without_any_cell_ends_with_the_reason(patch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(cell_cpus=6)
    cells = supply_of(cluster, patch, lambda: ["the autoscaler adds no node"])
    patch.setattr(cells, "_place_timeout_s", 0.0)
    cluster.add(4)
    cells.ask()
    with pytest.raises(TransientError, match=r"no node had .* free.*; node n0 \(4 CPUs.* is too small .*; the autoscaler adds no node"):
        settled(cluster, cells)


SHAPES = st.lists(st.tuples(st.sampled_from((1, 2, 4, 8, 16, 64)), st.integers(0, 1)), min_size=1, max_size=6)


@settings(deadline=None)
@given(SHAPES, st.sampled_from((0.5, 1.0, 1.75, 6.0)), st.integers(1, 30), st.integers(0, 99))
def test_a_cpu_is_left_to_reading_whatever_comes_and_all_cells_that_have_room_start(
    shapes: list[tuple[int, int]], cell_cpus: float, wanted: int, seed: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        cluster = Cluster(cell_cpus, dice=random.Random(seed))
        cells = supply_of(cluster, patch)
        for _ in range(wanted):
            cells.ask()
        started = 0
        for cpus, gpus in shapes:
            cluster.add(cpus, gpus)
            started += len(settled(cluster, cells))
            assert cluster.seats >= 1
            assert started + cells.asked == wanted
            holds = [machine.cpus for machine in cluster.nodes.values() if machine.cpus >= cell_cpus + 1]
            assert started >= min(wanted, len(holds))
