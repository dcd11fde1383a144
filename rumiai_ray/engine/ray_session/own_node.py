"""A node of Ray with no more processes than a Ray of our own needs, and with workers that start sooner.

Left out are the autoscaler's monitor (one machine has nothing to scale), the dashboard's server (without a dashboard it reports usage
statistics, which are off), the log monitor (it brings logs to a driver that does not want them) and the server for `ray://`, which nobody
here uses. Each imported Ray, and `ray.init` waited for the dashboard's: 3.5 s of CPU time and 1 s in all (measured, 2 cores). The agents
stay, which serve metrics and set up workers.

This file is a program too: `ray start` for such a node. Only Ray is imported here, since the program may run without this package.
"""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

from ray._private import node, ray_constants

if TYPE_CHECKING:
    from collections.abc import Iterator


class OwnNode(node.Node):
    """A node without the processes that serve a cluster."""

    def start_monitor(self) -> None:
        """Nothing is scaled."""

    def start_ray_client_server(self) -> None:
        """Nobody comes by `ray://`."""

    def start_api_server(self, *, include_dashboard: bool | None, raise_on_failure: bool) -> None:
        """Nothing is shown."""

    def start_log_monitor(self) -> None:
        """Nothing is brought to the driver."""


@contextlib.contextmanager
def own_node(setup_worker: str) -> Iterator[None]:
    """The nodes that Ray starts in this process while this is entered are such nodes.

    Args:
        setup_worker: absolute path of the program that becomes a worker, see `setup_worker.py`.
    """
    before = node.Node, ray_constants.SETUP_WORKER_FILENAME
    # Ray joins the file's name to a directory of its own, which an absolute path replaces.
    node.Node, ray_constants.SETUP_WORKER_FILENAME = OwnNode, setup_worker  # type: ignore[misc]
    try:
        yield
    finally:
        node.Node, ray_constants.SETUP_WORKER_FILENAME = before  # type: ignore[misc]


def main() -> None:
    """`own_node.py SETUP_WORKER start …`: what `ray start …` does, with such a node."""
    from ray.scripts.scripts import main as ray_program  # noqa: PLC0415 -- the command line of Ray, for this program only

    with own_node(sys.argv.pop(1)):
        ray_program()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
