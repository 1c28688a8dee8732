"""`make image`: the operator's image, or the sidecar's, with the builder that is at hand.

Docker, podman and buildah build the same Containerfile on the base image that is asked for. Where
none of them is installed, the private Docker engine of the test cluster does, and where no base
image can be pulled, it is made of Debian's packages.
"""

import argparse
import shutil
import subprocess
import sys
from typing import Final

from hack.cluster import engine as engines
from hack.cluster import images, paths, versions
from hack.cluster.engine import Engine
from hack.cluster.run import ClusterError, merged

BUILDERS: Final = ("docker", "podman", "buildah")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=BUILDERS, help="else the one that is there")
    parser.add_argument("--base", help=f"base image, else {versions.OFFICIAL_PYTHON_IMAGE}")
    parser.add_argument("--build", help="image of the same Python with pip, where BASE has none")
    parser.add_argument("--image", help="name and tag of what is built")
    parser.add_argument("--target", choices=("operator", "sidecar"), default="operator")
    options = parser.parse_args()
    recipe = images.RECIPES[options.target]
    builder = options.engine or _found()
    bases = (options.base, options.build or options.base)
    engine = engines.ensure() if builder == "docker" else Engine(private=False)
    if options.base is None:
        official = (versions.OFFICIAL_PYTHON_IMAGE, versions.OFFICIAL_PYTHON_IMAGE)
        bases = images.bases(engine) if builder == "docker" else official
    reference = options.image or recipe.reference
    _, *words = engine.build_command(
        paths.REPOSITORY,
        paths.REPOSITORY / recipe.containerfile,
        reference,
        {
            "BASE_IMAGE": bases[0],
            "BUILD_IMAGE": bases[1],
            **recipe.arguments,
            "REVISION": _revision(),
        },
        stage=options.target,
    )
    env = merged(engine.build_env() if builder == "docker" else None)
    # What the builder says goes to stderr: the last line of stdout is the image's name.
    code = subprocess.run([builder, *words], env=env, stdout=sys.stderr).returncode
    if code == 0:
        print(reference)
    return code


def _found() -> str:
    """The builder to use; "docker" may be one that is still to be installed and started."""
    if engines.running() is not None:
        return "docker"
    return next((name for name in BUILDERS[1:] if shutil.which(name)), "docker")


def _revision() -> str:
    """The commit that is checked out, or "unknown" outside of git."""
    words = ["git", "-C", str(paths.REPOSITORY), "rev-parse", "HEAD"]
    if shutil.which("git") is None:
        return "unknown"
    done = subprocess.run(words, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else "unknown"


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ClusterError as failure:
        print(f"hack.image: {failure}", file=sys.stderr)
        sys.exit(failure.exit_code)
