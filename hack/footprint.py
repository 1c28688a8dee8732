"""``python -m hack.footprint``: how large the images are, and what an idle operator uses.

The second half needs an operator in the kind cluster, installed by the chart:
`docs/how-to/installing.md`.
"""

import argparse
import json
import subprocess
import sys
import time
import zlib
from typing import Final

from rich.console import Console
from rich.table import Table

from hack.chart import helm
from hack.chart.files import NAME
from hack.cluster import engine as engines
from hack.cluster import images, kindcluster
from hack.cluster.engine import Engine
from hack.cluster.run import ClusterError, merged

SECONDS: Final = 60.0
_MIB: Final = 2**20
_GZIP: Final = 16 + zlib.MAX_WBITS
# Where a container's use is written: in the one hierarchy of cgroup v2, or in those of v1.
_FILES: Final = {
    "now": ("memory.current", "memory.usage_in_bytes"),
    "peak": ("memory.peak", "memory.max_usage_in_bytes"),
    "statistics": ("memory.stat", "memory.stat"),
    "processor": ("cpuacct.usage", "cpu.stat"),  # v1 has a cpu.stat of something else
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m hack.footprint", description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for so long CPU is counted")
    parser.add_argument("-n", "--namespace", default=helm.NAMESPACE, help="of the operator")
    options = parser.parse_args()
    engine = engines.running()
    if engine is None:
        raise ClusterError("no engine is up: `make up`")
    console = Console(width=100)
    result = Table("what", "figure", title_justify="left")
    for recipe in (images.OPERATOR_RECIPE, images.SIDECAR_RECIPE):
        images.build(engine, recipe)
        whole, packed = sizes(engine, recipe.reference)
        text = f"{whole / _MIB:.0f} MiB, {packed / _MIB:.0f} MiB compressed"
        result.add_row(f"image of the {recipe.title}", text)
    for what, figure in idle(engine, options.namespace, options.seconds).items():
        result.add_row(what, figure)
    console.print(result)
    return 0


def sizes(engine: Engine, reference: str) -> tuple[int, int]:
    """Bytes of an image, and of what a registry sends of it."""
    whole = int(engine.docker("image", "inspect", "--format={{.Size}}", reference))
    packer, packed = zlib.compressobj(6, zlib.DEFLATED, _GZIP), 0
    words = ["docker", "save", reference]
    with subprocess.Popen(words, stdout=subprocess.PIPE, env=merged(engine.env)) as saving:
        assert saving.stdout is not None
        while piece := saving.stdout.read(_MIB):
            packed += len(packer.compress(piece))
    return whole, packed + len(packer.flush())


def idle(engine: Engine, namespace: str, seconds: float) -> dict[str, str]:
    """What the operator's container uses; it is up to the caller that there is no study."""
    words = ("-n", namespace, f"--selector=app.kubernetes.io/name={NAME}", "-o", "json")
    found = json.loads(kindcluster.kubectl("get", "pods", *words))["items"]
    running = [pod for pod in found if pod["status"]["phase"] == "Running"]
    if not running:
        raise ClusterError(
            f"no operator runs in {namespace}: docs/how-to/installing.md says how one does"
        )
    pod = running[0]
    container = pod["status"]["containerStatuses"][0]["containerID"].rpartition("/")[2]
    use = Use(engine, pod["spec"]["nodeName"], container)
    before, began = use.processor_seconds(), time.monotonic()
    time.sleep(seconds)
    spent, took = use.processor_seconds() - before, time.monotonic() - began
    return {
        "memory of the operator": f"{use.memory() / _MIB:.0f} MiB",
        "the most it had": f"{use.read('peak') / _MIB:.0f} MiB pages of files included",
        f"its CPU over {took:.0f} s": f"{1e3 * spent / took:.1f} m",
    }


class Use:
    """The counters of a container's control group, read in its node."""

    def __init__(self, engine: Engine, node: str, container: str) -> None:
        self._engine, self._node, self._container = engine, node, container

    def read(self, what: str) -> int:
        """A file of one number."""
        return int(self._text(what))

    def memory(self) -> int:
        """Bytes without the pages of files that can be dropped, as `kubectl top` counts."""
        words = self._text("statistics").split()
        counted = dict(zip(words[::2], map(int, words[1::2]), strict=True))
        dropped = counted.get("total_inactive_file", counted["inactive_file"])
        return self.read("now") - dropped

    def processor_seconds(self) -> float:
        text = self._text("processor")
        if text.startswith("usage_usec "):
            return int(text.split()[1]) / 1e6
        return int(text) / 1e9

    def _text(self, what: str) -> str:
        for name in _FILES[what]:
            place = ("/sys/fs/cgroup", "-path", f"*{self._container}*/{name}")
            words = ("find", *place, "-exec", "cat", "{}", ";", "-quit")
            if text := self._engine.docker("exec", self._node, *words):
                return text
        raise ClusterError(f"the container {self._container} is gone: ask again")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ClusterError as failure:
        print(f"hack.footprint: {failure}", file=sys.stderr)
        sys.exit(failure.exit_code)
