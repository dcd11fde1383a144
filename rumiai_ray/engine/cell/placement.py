"""Which nodes the cells of a run are on, and which of them must take no further one: their last CPUs are for reading videos."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rumiai_ray.engine.setup.node_capacity import NodeLoad, cells_beside_reading, ray_fits, takes_another
from rumiai_ray.engine.setup.resource_plan import load_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rumiai_ray.engine.setup.resource_plan import CellShape, Machine


class Placement:
    """The cells of one run by node.

    Ray places a cell wherever its bundle fits, and knows nothing of reading tasks that have yet to come. So a cell that Ray has placed
    where it would take the last CPUs is given back, and asked for again on any node but those in `full`.

    Args:
        shape: of every cell.
        nodes: the living nodes of the cluster by their ids in Ray.
        news: what the cluster does about cells that wait, in sentences.
    """

    def __init__(self, shape: CellShape, nodes: Callable[[], Mapping[str, Machine]], news: Callable[[], Sequence[str]] = tuple) -> None:
        self._shape = shape
        self._list = nodes
        self._news = news
        self._nodes: Mapping[str, Machine] = {}
        self._cells: dict[str, str] = {}
        """The node of each cell, by the id of its placement group."""

    def look(self) -> None:
        """Ask Ray which nodes there are now."""
        self._nodes = self._list()

    def take(self, group: str, node: str) -> bool:
        """Note that a cell's placement group is on `node`; returns False, and notes nothing, where the cell must not stay there.

        A node that Ray has named and that is gone again takes it: the cell's end is then noticed as that of any cell.
        """
        if node in self._nodes and not self._takes(node):
            return False
        self._cells[group] = node
        return True

    def leave(self, group: str) -> None:
        """The cell is gone."""
        self._cells.pop(group, None)

    @property
    def homeless(self) -> frozenset[str]:
        """Placement groups of cells whose nodes are gone. Ray moves such a group to any node that has room."""
        return frozenset(group for group, node in self._cells.items() if node not in self._nodes)

    def noted(self, group: str) -> str:
        """The node that the cell with this placement group was on when it was taken."""
        return self._cells[group]

    @property
    def full(self) -> frozenset[str]:
        """Nodes on which Ray would place another cell, although the rest of their CPUs is for reading, or their memory is full."""
        loads = self._loads
        return frozenset(node for node, load in loads.items() if ray_fits(load, self._shape.cpus) and not self._takes(node, loads))

    def reasons(self) -> list[str]:
        """Why cells wait, as far as it is known: nodes that are too small, in the order of their names, and what the autoscaler does."""
        self.look()
        candidates = [machine for machine in self._nodes.values() if machine.cpus and (machine.gpus or not self._shape.gpus)]
        small = sorted({_described(machine) for machine in candidates if not self._holds(machine)})
        return [*(f"{one} is too small for a cell beside a reading task" for one in small), *self._news()]

    def _holds(self, machine: Machine) -> bool:
        return load_of(machine, self._shape).most > 0 and cells_beside_reading(machine.cpus, self._shape.cpus) > 0

    @property
    def _loads(self) -> dict[str, NodeLoad]:
        here = list(self._cells.values())
        return {node: replace(load_of(machine, self._shape), cells=here.count(node)) for node, machine in self._nodes.items()}

    def _takes(self, node: str, loads: Mapping[str, NodeLoad] | None = None) -> bool:
        loads = loads or self._loads
        return takes_another(list(loads.values()), list(loads).index(node), self._shape.cpus)


def _described(machine: Machine) -> str:
    return f"{machine.name} ({machine.cpus:g} CPUs, {machine.memory_gb:.0f} GB)"
