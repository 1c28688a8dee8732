"""``python -m hack.cluster COMMAND``: the local cluster, up and down."""

import argparse
import sys
from collections.abc import Callable
from typing import Final

from hack.cluster import engine as engines
from hack.cluster import gobuild, images, install, kindcluster, leftovers, mending, nodeimage, paths
from hack.cluster.engine import Engine
from hack.cluster.run import ClusterError, alone, say

_PATIENCE_SECONDS: Final = 120


def up(_: argparse.Namespace) -> int:
    """Make or reuse the cluster; the last line of stdout is the kubeconfig's path."""
    engine = engines.ensure()
    kindcluster.kind_program()
    image, official = nodeimage.ensure(engine)
    kindcluster.ensure(engine, image, official)
    mending.mend_nodes(engine, own_network=not official)
    images.ensure_trial(engine)
    install.apply_all()
    say("the cluster is up")
    print(paths.KUBECONFIG)
    return 0


def down(_: argparse.Namespace) -> int:
    """Remove the cluster and stop our engine; the caches stay."""
    engine = engines.running()
    if engine is None and engines.was_started():
        # The engine was killed. Only an engine can remove what containers left in its data.
        engine = _restarted()
    if engine is not None:
        kindcluster.delete(engine)
        if engine.private and kindcluster.others(engine):
            say("the engine stays: another kind cluster is on it")
            return 0
    if engines.was_started():
        engines.stop(engine)
    leftovers.unmount_below(paths.IMAGES)
    say("nothing is up")
    return 0


def kubeconfig(_: argparse.Namespace) -> int:
    """Print the path of the kubeconfig of the cluster that is up."""
    engine = engines.running()
    # Images that were loaded just now keep the nodes' disks, and so the API server, busy.
    patience = _PATIENCE_SECONDS if engine is not None and kindcluster.nodes(engine) else 0
    if not kindcluster.api_answers(patience):
        mend = "no cluster answers: `make up` (python -m hack.cluster up) makes or mends one"
        raise ClusterError("\n".join([mend, *state()]))
    print(paths.KUBECONFIG)
    return 0


def status(_: argparse.Namespace) -> int:
    """Say in a few lines what is there, and why it does not answer."""
    print("\n".join(state()))
    return 0


def state() -> list[str]:
    """What is there, a line each; where the API server does not answer, with its last words."""
    engine = engines.running()
    if engine is None:
        return ["engine:  none", "cluster: none"]
    whose = f"our own ({engines.SOCKET})" if engine.private else "the one on this host"
    lines = [f"engine:  {whose}"]
    found = kindcluster.nodes(engine)
    if not found:
        return [*lines, "cluster: none"]
    answers = kindcluster.api_answers()
    lines.append(
        f"cluster: {paths.CLUSTER_NAME}, its API server "
        + ("answers" if answers else "does not answer")
    )
    lines += [f"  {node.name}: {node.state}" for node in found]
    if not answers:
        lines += kindcluster.last_words(engine)
    return [*lines, f"kubeconfig: {paths.KUBECONFIG}", f"checkpoints: {paths.CHECKPOINTS}"]


def load(arguments: argparse.Namespace) -> int:
    """Load an image of the engine into the nodes."""
    engine = _running()
    if not kindcluster.nodes(engine):
        raise ClusterError("no cluster is up: `make up` (python -m hack.cluster up) makes one")
    kindcluster.load(engine, arguments.image)
    return 0


def publish(arguments: argparse.Namespace) -> int:
    """Build an image of ours and bring it to a cluster that is not, under the name given."""
    engine = engines.ensure()
    if arguments.kind and not kindcluster.nodes(engine, arguments.kind):
        raise ClusterError(f"the engine here has no kind cluster '{arguments.kind}'")
    recipe = images.RECIPES[arguments.recipe]
    images.build(engine, recipe)
    if arguments.kind:
        kindcluster.load(engine, recipe.reference, arguments.kind)
    else:
        images.push(engine, recipe.reference, arguments.image)
    return 0


def ship(_: argparse.Namespace) -> int:
    """Build the operator's image and load it into the nodes; the last line is its name."""
    images.ensure(_running(), images.OPERATOR_RECIPE)
    print(images.OPERATOR_RECIPE.reference)
    return 0


def tools(arguments: argparse.Namespace) -> int:
    """Compile programs that tests run beside the cluster, and print where they are."""
    wanted = [gobuild.TOOLS[name] for name in arguments.names]
    gobuild.build(wanted)
    print("\n".join(str(program.binary) for program in wanted))
    return 0


def docker(arguments: argparse.Namespace) -> int:
    """Run the docker CLI against the engine that holds the nodes."""
    return engines.docker_command(_running(), arguments.arguments)


def _running() -> Engine:
    engine = engines.running()
    if engine is None:
        raise ClusterError("no engine is up: `make up` (python -m hack.cluster up) starts one")
    return engine


def _restarted() -> Engine | None:
    try:
        return engines.ensure()
    except ClusterError as failure:
        say(f"the engine does not start again ({failure}); what it left is removed without it")
        return None


_WRITERS: Final[dict[str, Callable[[argparse.Namespace], int]]] = {
    "up": up,
    "down": down,
    "load": load,
    "publish": publish,
    "ship": ship,
    "tools": tools,
}
_READERS: Final[dict[str, Callable[[argparse.Namespace], int]]] = {
    "kubeconfig": kubeconfig,
    "status": status,
    "docker": docker,
}


def main() -> int:
    """Run the command and turn what fails into one message and an exit code."""
    # What follows `docker` is docker's own, `--help` included.
    if sys.argv[1:2] == ["docker"]:
        return _guarded(docker, argparse.Namespace(arguments=sys.argv[2:]))
    parser = argparse.ArgumentParser(prog="python -m hack.cluster", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, function in {**_WRITERS, **_READERS}.items():
        command = commands.add_parser(name, help=function.__doc__)
        if name in ("load", "publish"):
            command.add_argument("image")
        if name == "tools":
            command.add_argument("names", nargs="+", choices=gobuild.TOOLS, metavar="NAME")
        if name == "publish":
            command.add_argument("--recipe", choices=images.RECIPES, default="trial")
            where = command.add_mutually_exclusive_group(required=True)
            where.add_argument("--kind", metavar="NAME", help="load it into that kind cluster")
            where.add_argument("--push", action="store_true", help="push it to its registry")
    arguments = parser.parse_args()
    if arguments.command in _READERS:
        return _guarded(_READERS[arguments.command], arguments)
    with alone(paths.LOCK):
        return _guarded(_WRITERS[arguments.command], arguments)


def _guarded(command: Callable[[argparse.Namespace], int], arguments: argparse.Namespace) -> int:
    try:
        return command(arguments)
    except ClusterError as failure:
        print(f"hack.cluster: {failure}", file=sys.stderr)
        return failure.exit_code
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
