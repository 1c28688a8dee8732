"""The version of everything that is released together: wheel, images and chart."""

from typing import Final

VERSION: Final = "0.1.0"
