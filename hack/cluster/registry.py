"""Pulling images from a registry that may be out of reach."""

import os
import subprocess
import threading
from typing import Final

from hack.cluster.engine import Engine
from hack.cluster.run import step

_SILENCE_SECONDS: Final = 20


def pull(engine: Engine, reference: str) -> bool:
    """Pull an image; False when the registry refuses or says nothing for a while at first.

    docker prints its first line once the registry has answered; from then on a pull may take
    as long as it takes.
    """
    with (
        step(f"trying to pull {reference.partition('@')[0]}"),
        subprocess.Popen(
            ["docker", "pull", reference],
            env={**os.environ, **engine.env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process,
    ):
        impatience = threading.Timer(_SILENCE_SECONDS, process.kill)
        impatience.start()
        for _ in process.stdout or ():
            impatience.cancel()
        impatience.cancel()
        return process.wait() == 0
