"""Lines for whoever reads the container's log."""

import sys


def say(message: str) -> None:
    """Prints one line to stderr."""
    print(f"hyperband.report: {message}", file=sys.stderr, flush=True)
