"""`python -m rumiai_ray.cli.doctor --debian-packages` lists the Debian packages the product needs.

`.ci/run` and the container file call it on a bare Python, before anything is installed. `make demo` and `make test` call it with
`--install-debian-packages`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rumiai_ray.cli.doctor.debian import install_missing
from rumiai_ray.cli.doctor.libraries import debian_packages

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """Print what `.ci/run` and a container file ask for. Everything else is the business of `rumiai-ray doctor`."""
    if list(arguments) == ["--install-debian-packages"]:
        return install_missing()
    if list(arguments) != ["--debian-packages"]:
        usage = "usage: python -m rumiai_ray.cli.doctor --debian-packages|--install-debian-packages (all checks: `rumiai-ray doctor`)\n"
        sys.stderr.write(usage)
        return 2
    sys.stdout.write("\n".join(debian_packages()) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
