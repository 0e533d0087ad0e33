"""Run the reproduction from wherever it stands: ``python workflow_scripts/reproduce.py [--scale S] [--paper P] [snakemake options]``."""

import sys
from pathlib import Path

from lazyrich.reproduction import main

if __name__ == "__main__":
    sys.exit(main(Path(__file__).parent.parent, sys.argv[1:]))
