"""Syne Tune's environment: its own, as it needs older numpy and scipy than we do."""

import subprocess
import sys
from pathlib import Path

from hack.cluster.paths import CACHE

VERSION = "0.14.2"  # the last with the paper's methods
REQUIREMENTS = (
    f"syne-tune[gpsearchers,kde]=={VERSION}",
    "numpy<1.27",
    "scipy<1.15.3",
    "onnxruntime",
    "huggingface_hub",  # its simulator imports these two
    "scikit-learn",
)


def interpreter() -> Path:
    """The peer's Python; its environment is made when it is missing, in a minute or two.

    It needs our interpreter to be Python 3.11 or 3.12, for which its numpy is built.

    Raises:
        subprocess.CalledProcessError: pip has failed, and said why.
    """
    folder = CACHE / "peer" / f"syne-tune-{VERSION}"
    python, complete = folder / "bin" / "python", folder / "complete"
    if not complete.exists() or complete.read_text() != "\n".join(REQUIREMENTS):
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *REQUIREMENTS], check=True, stdout=sys.stderr)
        complete.write_text("\n".join(REQUIREMENTS))
    return python
