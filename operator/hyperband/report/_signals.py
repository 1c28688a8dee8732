"""SIGTERM ends a trial's script, so that a disrupted or suspended pod frees its GPU at once."""

import signal
import sys
import threading


def exit_on_sigterm() -> None:
    """Lets SIGTERM end the script through `sys.exit`, so that what is at exit is done.

    Only where the script has left SIGTERM alone. By default the kernel ignores it for a
    container's first process, which then holds its GPU for the whole grace period.
    """
    if threading.current_thread() is not threading.main_thread():
        return  # only the main thread may set handlers
    if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
