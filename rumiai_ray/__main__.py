"""`python -m rumiai_ray` is the command line."""

import os
import sys


def _working_directory() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109 -- `pathlib` would be looked for in that very directory
    except FileNotFoundError:  # it was removed; then Python has not put it on the path either
        return None


# `python -m` puts the working directory first: a user's `random.py` beside a clip would be imported for the standard library's. Last, not
# removed: a checkout that is not installed is found there and nowhere else.
if not sys.flags.safe_path and sys.path[:1] == [_working_directory()]:
    sys.path.append(sys.path.pop(0))

from rumiai_ray.cli.interpreter import check_interpreter  # noqa: E402 -- only after the path is in order

check_interpreter()

from rumiai_ray.cli.app import program  # noqa: E402 -- only where its packages are

if __name__ == "__main__":
    program()
