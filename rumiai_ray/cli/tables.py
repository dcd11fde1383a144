"""Tables for people."""

from __future__ import annotations

from rich.table import Column, Table


def listing(*headings: str, folds: tuple[str, ...]) -> Table:
    """A table without lines, which leaves room for its words on a terminal of 80 columns.

    Args:
        headings: in order.
        folds: the columns that give way where there is not enough room; all others keep their words whole.
    """
    columns = [Column(heading, overflow="fold", no_wrap=heading not in folds) for heading in headings]
    return Table(*columns, box=None, pad_edge=False, padding=(0, 1, 0, 0))


def folding(*headings: str, whole: str = "") -> list[Column]:
    """Columns whose long words go on in the next line: rich would cut a path or a command short, and that is what one copies.

    Args:
        headings: in order.
        whole: the one column that keeps its width at the cost of all others: what people copy to name a row.
    """
    return [Column(heading, overflow="fold", no_wrap=heading == whole) for heading in headings]
