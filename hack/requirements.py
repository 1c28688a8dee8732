"""Prints the project's dependencies, one a line, for `pip install -r`: the project itself is not
installed but found through PYTHONPATH, so that an environment serves any checkout."""

import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
print("\n".join([*project["dependencies"], *project["optional-dependencies"]["dev"]]))
