"""What the installed commands call: `hyperband`, also when it is interrupted while it loads."""

import sys

INTERRUPTED = 130  # exit code, as shells have it


def main() -> None:
    """Runs the command line, and ends the process."""
    try:
        from hyperband.cli.main import app

        app(prog_name=sys.argv[0].rpartition("/")[2])
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
