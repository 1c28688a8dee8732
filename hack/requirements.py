"""Prints the project's dependencies, one a line, for `pip install -r`: the project itself is not
installed but found through PYTHONPATH, so that an environment serves any checkout.

Arguments name groups of optional dependencies to print instead."""

import sys
import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
groups = project["optional-dependencies"]
wanted = [each for name in sys.argv[1:] for each in groups[name]]
print("\n".join(wanted or [*project["dependencies"], *groups["dev"]]))
