"""Where things lie: one cache folder holds all that outlives a command.

Nothing is written outside the cache, apart from the engine's run folder (``engine.RUN``),
which is gone after ``down``.
"""

import os
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).resolve().parents[2]
RECIPES: Final = Path(__file__).resolve().parent / "recipes"

CLUSTER_NAME: Final = os.environ.get("HYPERBAND_CLUSTER") or "hyperband"


def _cache() -> Path:
    chosen = os.environ.get("HYPERBAND_CACHE")
    if chosen:
        return Path(chosen).expanduser().resolve()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser().resolve() / "hyperband-operator"


CACHE: Final = _cache()
LOCK: Final = CACHE / "lock"
LOGS: Final = CACHE / "logs"
# Binaries lie in one folder for each version, so that a new pin never runs an old binary.
BINARIES: Final = CACHE / "bin"
GO_WRAPPERS: Final = CACHE / "go"
IMAGES: Final = CACHE / "images"

CLUSTER: Final = CACHE / ("cluster" if CLUSTER_NAME == "hyperband" else f"cluster-{CLUSTER_NAME}")
KUBECONFIG: Final = CLUSTER / "kubeconfig"
CHECKPOINTS: Final = CLUSTER / "checkpoints"

ENGINE: Final = CACHE / "engine"
ENGINE_DATA: Final = ENGINE / "data"
ENGINE_PID: Final = ENGINE / "dockerd.pid"
ENGINE_LOG: Final = LOGS / "dockerd.log"
