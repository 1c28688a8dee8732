"""`python -m hyperband.cli`, where the package is not installed."""

import sys

from hyperband.cli.entry import main

sys.argv[0] = "hyperband"
main()
