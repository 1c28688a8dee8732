"""`python -m hack.browser`: the Chromium that tests and screenshots of the page drive.

Debian's own, as playwright's browsers are not to be had from a package registry.
"""

import os
import shutil
import sys
from typing import Final

from hack.cluster import apt
from hack.cluster.run import ClusterError

NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
# With neither there would be no text in pictures, or none like elsewhere.
PACKAGES: Final = ("chromium", "fonts-dejavu-core")


def program() -> str:
    """Its path; installed where that can be done.

    Raises:
        ClusterError: there is none; the message says what to install.
    """
    named = os.environ.get("CHROMIUM")
    found = [named] if named else [path for name in NAMES if (path := shutil.which(name))]
    if not found:
        if not apt.usable():
            raise ClusterError(
                "there is no Chromium to show the page in: install it, or name one by CHROMIUM=PATH"
            )
        apt.install(PACKAGES)
        found = [path for name in NAMES if (path := shutil.which(name))]
    return found[0]


def arguments() -> list[str]:
    """Its own sandbox needs a user who is not root."""
    return ["--no-sandbox"] if os.geteuid() == 0 else []


def main() -> int:
    print(program())
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ClusterError as failure:
        print(f"hack.browser: {failure}", file=sys.stderr)
        sys.exit(failure.exit_code)
