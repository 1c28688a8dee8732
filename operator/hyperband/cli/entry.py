"""What the installed commands call: `hyperband`, also when it is interrupted while it loads."""

import io
import os
import shlex
import sys
from contextlib import redirect_stdout

NO_FILES = 4  # Cobra's ShellCompDirectiveNoFileComp: kubectl is to offer no files beside these
FAILED = 1  # exit code
INTERRUPTED = 130  # the same, as shells have it


def main() -> None:
    """Runs the command line, and ends the process."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as stderr: no table is worth an error
    try:
        _run()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except OSError as error:
        if error.filename is not None:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is left is not tried again
        if isinstance(error, BrokenPipeError):  # who reads has had enough
            sys.exit(FAILED)
        sys.exit(f"hyperband: what is to be told cannot be written: {error.strerror}")


def _run() -> None:
    from hyperband.cli.main import app

    try:
        app(prog_name=sys.argv[0].rpartition("/")[2])
    finally:
        if sys.stdout is not None:
            sys.stdout.flush()


def complete() -> None:
    """What kubectl runs as `kubectl_complete-hyperband WORD…`, the last one being unfinished.

    Writes a completion a line, and last a directive of Cobra's, as kubectl wants it
    (https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins/). Typer has the completions:
    it is asked as bash asks it.
    """
    words = sys.argv[1:]
    os.environ["_HYPERBAND_COMPLETE"] = "complete_bash"
    os.environ["COMP_WORDS"] = shlex.join(["hyperband", *words])
    os.environ["COMP_CWORD"] = str(len(words))
    sys.argv[:] = ["hyperband"]
    told = io.StringIO()
    try:
        with redirect_stdout(told):
            main()
    except SystemExit:
        print(*filter(None, told.getvalue().splitlines()), f":{NO_FILES}", sep="\n")
