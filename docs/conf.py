"""How Sphinx makes the site of these pages: `make docs`."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "operator")]

from hyperband.version import VERSION  # noqa: E402

project = "Hyperband on Kubernetes"
release = VERSION
language = "en"
extensions = ["myst_parser", "hack.docs.extension"]
exclude_patterns = ["pictures", "static"]

# Anchors as GitHub has them, where the pages are read, too.
myst_heading_anchors = 4

html_theme = "furo"
html_title = f"{project} {VERSION}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
