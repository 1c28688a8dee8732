"""`make demo`: a cluster, the operator, the digits sample, and what came of it."""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ["HYPERBAND_CACHE"])
LOG = CACHE / "logs" / "operator.log"
STARTED = time.monotonic()


def say(text: str) -> None:
    """A line of progress."""
    minutes, seconds = divmod(int(time.monotonic() - STARTED), 60)
    clock = f"{minutes}m{seconds:02}s" if minutes else f"{seconds}s"
    print(f"[{clock:>6}] {text}", file=sys.stderr, flush=True)


def main() -> int:
    """Runs the demo; the exit code is that of the study's end."""
    options = arguments()
    own = not os.environ.get("KUBECONFIG")
    if own:
        say("a kind cluster of our own; KUBECONFIG=FILE make demo uses another")
        kubeconfig = start_cluster()
        if kubeconfig is None:
            return 2
        os.environ["KUBECONFIG"] = kubeconfig
    else:
        say(f"the cluster of {os.environ['KUBECONFIG']}")
        if not install(options.namespace):
            return 2
    name = options.sample.stem
    if exists(name, options.namespace):
        say(f"deleting the study '{name}' of an earlier run")
        kubectl("delete", "hbs", name, "-n", options.namespace, "--wait=true")
    with operator():
        say(f"applying {options.sample.relative_to(ROOT)}")
        kubectl("apply", "-n", options.namespace, "-f", str(options.sample))
        code = hyperband("watch", name, "-n", options.namespace)
    print(f"""
Look further (export KUBECONFIG={os.environ["KUBECONFIG"]}):
  kubectl get hbs,hbt,pods -n {options.namespace}
  kubectl describe hbs {name} -n {options.namespace}
  kubectl logs -n {options.namespace} {name}-0-0
  {LOG}   what the operator decided, and why""")
    if own:
        print("Take it all down: make down")
    return code


def arguments() -> argparse.Namespace:
    """--sample and --namespace."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--sample", type=Path, default=ROOT / "manifests/samples/digits.yaml", help="a study"
    )
    parser.add_argument("--namespace", default="default")
    options = parser.parse_args()
    options.sample = options.sample.resolve()
    return options


def start_cluster() -> str | None:
    """The kubeconfig's path, or None when there can be no cluster: why was said."""
    done = subprocess.run(
        [sys.executable, "-m", "hack.cluster", "up"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    return done.stdout.strip().splitlines()[-1] if done.returncode == 0 else None


def install(namespace: str) -> bool:
    """CRDs, roles and policies in a cluster that is not ours."""
    say("installing CRDs, roles and policies (kubectl apply)")
    for folder in ("crds", "manifests/install"):
        if kubectl("apply", "--server-side", "-f", str(ROOT / folder)) != 0:
            return False
    reporter = str(ROOT / "manifests/namespace/reporter.yaml")
    say(
        "the sample wants the image hyperband.dev/digits:dev and a folder /checkpoints on the nodes"
    )
    return kubectl("apply", "-n", namespace, "-f", reporter) == 0


def kubectl(*words: str, quiet: bool = False) -> int:
    """Runs kubectl: the one on the path, else the one that `make up` has built."""
    built = os.pathsep.join(map(str, CACHE.glob("bin/kubectl-*")))
    program = shutil.which("kubectl") or shutil.which("kubectl", path=built)
    if program is None:
        say("kubectl is missing: install it; nothing of the demo works without")
        return 2
    output = subprocess.DEVNULL if quiet else sys.stderr
    return subprocess.run([program, *words], stdout=output, stderr=output).returncode


def exists(name: str, namespace: str) -> bool:
    """Whether the study is there."""
    return kubectl("get", "hbs", name, "-n", namespace, quiet=True) == 0


def hyperband(*words: str) -> int:
    """Runs the command line."""
    return subprocess.run([sys.executable, "-m", "hyperband.cli", *words]).returncode


@contextmanager
def operator() -> Iterator[None]:
    """The operator beside us, its log in the cache; ended with us, by its pid."""
    LOG.parent.mkdir(parents=True, exist_ok=True)
    say(f"starting the operator; its log: {LOG}")
    with LOG.open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "hyperband.cli", "operator"], stdout=log, stderr=log
        )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()


if __name__ == "__main__":
    sys.exit(main())
