"""The process that drives a batch in `chaos.py` where the driver is to come to grief."""

from __future__ import annotations

import sys
from pathlib import Path

from chaos import main

if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
