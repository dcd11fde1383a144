"""When Python looks for garbage: seldom while a command imports what it needs, as always while it works."""

from __future__ import annotations

import gc

WHILE_IMPORTING = (50_000, 20, 20)
"""A command imports a thousand modules, and nothing of them is garbage: looking for it every 700 objects took 0.1 of 0.95 s (measured)."""
_AS_ALWAYS = gc.get_threshold()


def imports_are_done() -> None:
    """Where garbage was looked for seldom: what is there stays, from now on it is looked for as Python does it.

    A process that is not ours, which only calls us, is left as it is.
    """
    if gc.get_threshold() == WHILE_IMPORTING:
        gc.freeze()
        gc.set_threshold(*_AS_ALWAYS)
