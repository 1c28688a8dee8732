"""`make demo`: a cluster, the operator, the digits sample, and what came of it."""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hack.cluster.install import OPERATOR
from hack.cluster.kindcluster import kubectl_program
from hack.cluster.run import ClusterError

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ["HYPERBAND_CACHE"])
LOG = CACHE / "logs" / "operator.log"
IMAGE = "hyperband.dev/digits:dev"  # as the samples name it
STARTED = time.monotonic()
TAKE_DOWN = "Take it all down: make down"
TAKE_DOWN_OTHER = """Take it all down:
  kubectl delete hbs {name} -n {namespace}
  kubectl delete lease hyperband-namespace-operator -n {namespace}
  kubectl delete -n {namespace} -f manifests/namespace/reporter.yaml
  kubectl delete -f manifests/install/ -f crds/   # with the studies of all namespaces"""


def say(text: str) -> None:
    """A line of progress."""
    minutes, seconds = divmod(int(time.monotonic() - STARTED), 60)
    clock = f"{minutes}m{seconds:02}s" if minutes else f"{seconds}s"
    print(f"[{clock:>6}] {text}", file=sys.stderr, flush=True)


def main() -> int:
    """Runs the demo; the exit code is that of the study's end."""
    options = arguments()
    own = not os.environ.get("KUBECONFIG")
    image = IMAGE
    if own:
        say("a kind cluster of our own; KUBECONFIG=FILE make demo uses another")
        kubeconfig = start_cluster()
        if kubeconfig is None:
            return 2
        os.environ["KUBECONFIG"] = kubeconfig
        say(f"to look at it from another terminal: export KUBECONFIG={kubeconfig}")
    else:
        say(f"the cluster of {os.environ['KUBECONFIG']}")
        found = provide_image(os.environ.get("IMAGE") or IMAGE)
        if found is None or not install(options.namespace):
            return 2
        image = found
    name = options.sample.stem
    if exists(name, options.namespace):
        say(f"deleting the study '{name}' of an earlier run")
        kubectl("delete", "hbs", name, "-n", options.namespace, "--wait=true")
    with operator(options.namespace) as process:
        say(f"applying {options.sample.relative_to(ROOT)}")
        manifest = options.sample.read_text(encoding="utf-8").replace(IMAGE, image)
        if kubectl("apply", "-n", options.namespace, "-f", "-", stdin=manifest) != 0:
            return 2
        code = follow(process, name, options.namespace)
    print(f"""
Look further (export KUBECONFIG={os.environ["KUBECONFIG"]}):
  kubectl get hbs,hbt,pods -n {options.namespace}
  kubectl describe hbs {name} -n {options.namespace}
  kubectl logs -n {options.namespace} {name}-0-0
  {LOG}   what the operator decided, and why
A study of your own, in ten minutes: docs/tutorial.md""")
    again = f"make run NAMESPACE={options.namespace}"
    print(f"The operator has ended with the demo; {again} starts it again.")
    print(TAKE_DOWN if own else TAKE_DOWN_OTHER.format(name=name, namespace=options.namespace))
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


def provide_image(wanted: str) -> str | None:
    """Builds the trial image and brings it to where the nodes find it.

    Returns:
        Its name there, or None: why was said.
    """
    publish = [sys.executable, "-m", "hack.cluster", "publish"]
    context = kubectl_output("config", "current-context")
    if context.startswith("kind-"):
        wanted, words = IMAGE, [*publish, IMAGE, "--kind", context.removeprefix("kind-")]
    elif wanted != IMAGE:
        words = [*publish, wanted, "--push"]
    else:
        say(
            "the nodes must be able to pull the trial image: name a place in a registry, "
            "IMAGE=registry.example.com/you/digits:1, and it is built and pushed there"
        )
        return None
    return wanted if subprocess.run(words, cwd=ROOT).returncode == 0 else None


def install(namespace: str) -> bool:
    """CRDs, roles and policies in a cluster that is not ours."""
    say("installing CRDs, roles and policies (kubectl apply)")
    for folder in ("crds", "manifests/install"):
        files = [path for path in (ROOT / folder).glob("*.yaml") if path.name != OPERATOR]
        words = [f"--filename={path}" for path in sorted(files)]
        if kubectl("apply", "--server-side", "--force-conflicts", *words) != 0:
            return False
    reporter = str(ROOT / "manifests/namespace/reporter.yaml")
    say("the sample wants GPUs and a folder /checkpoints, writable for all, on the nodes")
    return (
        kubectl("apply", "--server-side", "--force-conflicts", "-n", namespace, "-f", reporter) == 0
    )


def kubectl(*words: str, stdin: str | None = None) -> int:
    """Runs kubectl; what it says goes to stderr."""
    return subprocess.run(
        [kubectl_program(), *words], stdout=sys.stderr, input=stdin, text=True
    ).returncode


def kubectl_output(*words: str) -> str:
    """What kubectl prints, "" where it fails."""
    done = subprocess.run([kubectl_program(), *words], capture_output=True, text=True)
    return done.stdout.strip()


def exists(name: str, namespace: str) -> bool:
    """Whether the study is there."""
    return bool(kubectl_output("get", "hbs", name, "-n", namespace, "-o", "name"))


def follow(operator: subprocess.Popen[bytes], name: str, namespace: str) -> int:
    """Follows the study for as long as the operator lives; the exit code of `hyperband watch`."""
    words = [sys.executable, "-m", "hyperband.cli", "watch", name, "-n", namespace]
    watch = subprocess.Popen(words)
    try:
        while watch.poll() is None:
            if operator.poll() is not None:
                tail = "\n".join(LOG.read_text(errors="replace").splitlines()[-10:])
                say(f"the operator has ended with {operator.returncode}:\n{tail}")
                return 1
            time.sleep(0.5)
        return watch.returncode
    finally:
        if watch.poll() is None:
            watch.terminate()
            watch.wait()


@contextmanager
def operator(namespace: str) -> Iterator[subprocess.Popen[bytes]]:
    """The operator beside us, its log in the cache; ended with us, by its pid.

    It takes up the studies of the demo's namespace only: those of others on a shared cluster would
    stand still when it ends.
    """
    LOG.parent.mkdir(parents=True, exist_ok=True)
    say(f"starting the operator for namespace {namespace}; its log: {LOG}")
    with LOG.open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "hyperband.cli", "operator", "-n", namespace],
            stdout=log,
            stderr=log,
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ClusterError as failure:
        say(str(failure))
        sys.exit(failure.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
