"""YAML files as kubectl reads them."""

from hyperband.api.files import load_manifest

__all__ = ["load_manifest"]
