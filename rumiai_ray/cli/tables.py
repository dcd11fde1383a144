"""Tables for people."""

from __future__ import annotations

from rich.table import Column


def folding(*headings: str, whole: str = "") -> list[Column]:
    """Columns whose long words go on in the next line: rich would cut a path or a command short, and that is what one copies.

    Args:
        headings: in order.
        whole: the one column that keeps its width at the cost of all others: what people copy to name a row.
    """
    return [Column(heading, overflow="fold", no_wrap=heading == whole) for heading in headings]
