"""Prints the project's dependencies, one a line, for `pip install -r`: the project itself is not
installed but found through PYTHONPATH, so that an environment serves any checkout.

Arguments name groups of optional dependencies to print instead; `run` is what the operator needs
and no more."""

import sys
import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
groups = {**project["optional-dependencies"], "run": project["dependencies"]}
wanted = [each for name in sys.argv[1:] or ["run", "dev"] for each in groups[name]]
print("\n".join(wanted))
