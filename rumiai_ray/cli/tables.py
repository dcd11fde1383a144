"""Tables for people."""

from __future__ import annotations

from rich.table import Column


def folding(*headings: str) -> list[Column]:
    """Columns whose long words go on in the next line: rich would cut a path or a command short, and that is what one copies."""
    return [Column(heading, overflow="fold") for heading in headings]
