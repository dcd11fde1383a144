"""`rumiai-ray batch` as the entry point of a Ray job: `ray job submit --working-dir . -- python jobs/batch.py --manifest FILE …`.

Also runs as plain `python jobs/batch.py …`, on a Ray of its own. Options and exit codes are those of `rumiai-ray batch`.
"""  # noqa: INP001 -- a script

import sys
from pathlib import Path

# In a job the checkout is the working directory that Ray uploaded; the package need not be installed on the cluster's nodes.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from rumiai_ray.cli.interpreter import check_interpreter  # noqa: E402 -- found on the path just set

check_interpreter()

from rumiai_ray.cli.app import program  # noqa: E402 -- only where its packages are

if __name__ == "__main__":
    sys.argv[1:1] = ["batch"]
    program()
