"""What the driver's loop needs of a source of work, whether Ray Data feeds it or a thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import ray

from rumiai_ray.engine.work.item import encode

if TYPE_CHECKING:
    from rumiai_ray.engine.work.item import Work


@dataclass(frozen=True)
class SourceRow:
    """One row of work: known in this process, or lying in Ray's object store, or both."""

    work: Work | None = None
    """The row itself, where this process has it."""
    block: Any = None
    """Reference to a block of `WORK_SCHEMA` that has the row; None where it is not in the object store yet."""
    row: int = 0
    """Position in the block."""

    def placed(self) -> tuple[Any, int]:
        """(reference to its block, position there); put into the object store now where it is not there yet, which needs a Ray."""
        if self.block is not None or self.work is None:
            return self.block, self.row
        return ray.put(encode([self.work])), 0


class Source(Protocol):
    """Rows of work in the order of their entries; a thread makes them, and the driver's loop takes them."""

    @property
    def ended(self) -> bool:
        """Whether the last row has been taken."""

    @property
    def last_news_s(self) -> float:
        """`time.monotonic()` of the last sign of life: it began an entry or made a row."""

    def take(self, timeout_s: float) -> list[SourceRow]:
        """The next rows, one at least; none where there are none within `timeout_s`.

        Raises:
            BaseException: what broke the source as a whole.
        """

    def end(self) -> None:
        """Make no more rows: nobody will take them."""

    def stop(self) -> None:
        """`end`, and let go of all that the source uses."""
