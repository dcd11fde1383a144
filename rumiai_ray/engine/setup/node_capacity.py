"""How many cells a node may hold, so that CPUs are left to the tasks that read videos: on each node, and where nodes are too small, in all.

Ray places a cell wherever its bundle fits, and a reading task takes one whole CPU. A cluster whose CPUs are all in cells reads nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

FREE_SHARE = 1 / 8
"""Share of a machine's CPUs left to extraction, one at least. Reading stored clips takes a hundredth of what models take (`make bench` on
two machines); clips that are decoded for the first time take several times that, and writing wants some."""
_ROUNDING = 1e-6
"""Ray counts resources in ten-thousandths, so that no difference of this size is one."""


@dataclass(frozen=True)
class NodeLoad:
    """One node of a cluster, and the cells of a run on it."""

    cpus: float
    """As Ray counts them."""
    most: int
    """Cells that its memory and its GPUs hold."""
    cells: int = 0
    by_gpus: float = math.inf
    """Cells that its GPUs hold; infinite where cells need none."""

    def left(self, cell_cpus: float) -> float:
        """CPUs beside its cells."""
        return self.cpus - self.cells * cell_cpus

    def seats(self, cell_cpus: float) -> int:
        """Reading tasks that run beside its cells at a time."""
        return max(0, math.floor(self.left(cell_cpus) + _ROUNDING))


def reading_cpus(cpus: float) -> int:
    """CPUs that are left to reading and writing on a machine of `cpus`, or on several that have so many together."""
    return max(1, math.floor(cpus * FREE_SHARE))


def reading_cpus_beside(cell_cpus: float) -> int:
    """CPUs for reading that keep cells busy which take `cell_cpus` together, on nodes of any size."""
    return max(1, math.floor(cell_cpus * FREE_SHARE / (1 - FREE_SHARE)))


def cells_beside_reading(cpus: float, cell_cpus: float) -> int:
    """Cells of `cell_cpus` on a node of `cpus` that leave its own share to reading; one where one CPU is left beside it; else 0."""
    several = math.floor((cpus - reading_cpus(cpus)) / cell_cpus + _ROUNDING)
    return max(several, int(cpus - cell_cpus >= 1 - _ROUNDING))


def smallest_node_cpus(cell_cpus: float) -> int:
    """CPUs of the smallest node that holds a cell and reads at the same time."""
    return math.ceil(cell_cpus - _ROUNDING) + 1


def takes_another(nodes: Sequence[NodeLoad], number: int, cell_cpus: float) -> bool:
    """Whether one more cell may be placed on `nodes[number]`.

    A node that holds cells beside its own reading tasks keeps the CPUs of those. A node too small for both takes cells as long as the
    other nodes leave enough for the whole cluster.
    """
    node = nodes[number]
    if not fits(node, cell_cpus):
        return False
    beside = cells_beside_reading(node.cpus, cell_cpus)
    if beside:
        return node.cells < beside
    elsewhere = sum(other.seats(cell_cpus) for at, other in enumerate(nodes) if at != number)
    return elsewhere >= reading_cpus(sum(other.cpus for other in nodes))


def fits(node: NodeLoad, cell_cpus: float) -> bool:
    """Whether the node has room for one more cell, if nothing is left to reading."""
    return node.cells < node.most and ray_fits(node, cell_cpus)


def ray_fits(node: NodeLoad, cell_cpus: float) -> bool:
    """Whether Ray would place one more cell on the node: it counts CPUs and GPUs, and knows nothing of the cells' memory."""
    return node.cells < node.by_gpus and node.left(cell_cpus) >= cell_cpus - _ROUNDING
