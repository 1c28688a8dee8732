"""Our images: built when what they are made of changed, loaded where they are lacking."""

import hashlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hack.cluster import debian, kindcluster, paths, registry, versions
from hack.cluster.engine import Engine
from hack.cluster.run import ClusterError, logged, step
from hyperband.version import VERSION

_NOT_COPIED: Final = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")
_OWN_PYTHON: Final = "hyperband.dev/python"


@dataclass(frozen=True)
class Recipe:
    """An image of ours.

    Attributes:
        reference: its name, with the tag that it is used by.
        sources: the files and folders of the repository that it is made of. Only these go into the
            build's context: the classic builder would send the whole repository, history included.
        stage: of the Containerfile, if not its last one.
        arguments: of the build, beside the base images.
    """

    title: str
    reference: str
    containerfile: Path
    sources: tuple[Path, ...]
    stage: str | None = None
    arguments: Mapping[str, str] = field(default_factory=dict)

    @property
    def repository(self) -> str:
        return self.reference.rpartition(":")[0]


TRIAL: Final = "hyperband.dev/digits:dev"
TRIAL_RECIPE: Final = Recipe(
    "trial",
    TRIAL,
    Path("examples/digits/Containerfile"),
    (
        Path("examples/digits"),
        Path("examples/shell"),
        Path("operator/hyperband/report"),
        Path("operator/hyperband/__init__.py"),
    ),
    arguments={"NUMPY": versions.NUMPY, "SCIKIT_LEARN": versions.SCIKIT_LEARN},
)
_CONTAINERFILE: Final = Path("images/operator/Containerfile")
_SOURCES: Final = (
    _CONTAINERFILE,
    Path("operator/hyperband"),
    Path("hack/requirements.py"),
    Path("pyproject.toml"),
    Path("constraints.txt"),
)
OPERATOR_RECIPE: Final = Recipe(
    "operator",
    f"hyperband.dev/hyperband-operator:{VERSION}",
    _CONTAINERFILE,
    _SOURCES,
    arguments={"VERSION": VERSION},
)
SIDECAR_RECIPE: Final = Recipe(
    "sidecar",
    f"hyperband.dev/hyperband-sidecar:{VERSION}",
    _CONTAINERFILE,
    _SOURCES,
    "sidecar",
    {"VERSION": VERSION},
)
RECIPES: Final = {each.title: each for each in (TRIAL_RECIPE, OPERATOR_RECIPE, SIDECAR_RECIPE)}


def ensure_trial(engine: Engine) -> None:
    """Build and load the trial image, both only where something changed."""
    ensure(engine, TRIAL_RECIPE)


def ensure(engine: Engine, recipe: Recipe) -> None:
    """Build an image and load it into the nodes, both only where something changed."""
    build(engine, recipe)
    if kindcluster.nodes(engine):
        kindcluster.load(engine, recipe.reference)


def build(engine: Engine, recipe: Recipe, *, cached: bool = True) -> None:
    """Build an image where something changed, or all of it anew."""
    context = paths.IMAGES / f"{recipe.title}-context"
    shutil.rmtree(context, ignore_errors=True)
    try:
        _stage(context, recipe)
        run_base, build_base = bases(engine)
        content = f"{recipe.repository}:{_key(context, recipe, run_base)}"
        if not cached or not engine.has_image(content):
            arguments = {"BASE_IMAGE": run_base, "BUILD_IMAGE": build_base, **recipe.arguments}
            with step(f"building the {recipe.title} image, about 1 min the first time"):
                _build(engine, context, recipe, content, arguments, cached=cached)
    finally:
        shutil.rmtree(context, ignore_errors=True)
    engine.docker("tag", content, recipe.reference)
    engine.forget_others(recipe.repository, {content, recipe.reference})


def push(engine: Engine, local: str, reference: str) -> None:
    """Push an image under another name, to the registry that the name is of."""
    engine.docker("tag", local, reference)
    with step(f"pushing {reference}"):
        logged("docker-push", ["docker", "push", reference], env=engine.env)


def _stage(context: Path, recipe: Recipe) -> None:
    for source in recipe.sources:
        target = context / source
        target.parent.mkdir(parents=True, exist_ok=True)
        if (paths.REPOSITORY / source).is_dir():
            shutil.copytree(paths.REPOSITORY / source, target, ignore=_NOT_COPIED)
        else:
            shutil.copy(paths.REPOSITORY / source, target)


def _key(context: Path, recipe: Recipe, base: str) -> str:
    digest = hashlib.sha256(" ".join([base, *recipe.arguments.values()]).encode())
    for path in sorted(context.rglob("*")):
        if path.is_file():
            mode = "x" if os.access(path, os.X_OK) else "-"
            digest.update(f"{path.relative_to(context)} {mode}\0".encode())
            digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _build(
    engine: Engine,
    context: Path,
    recipe: Recipe,
    reference: str,
    arguments: Mapping[str, str],
    *,
    cached: bool,
) -> None:
    containerfile = context / recipe.containerfile
    logged(
        f"docker-build-{recipe.title}",
        engine.build_command(
            context, containerfile, reference, arguments, stage=recipe.stage, cached=cached
        ),
        env=engine.build_env(),
    )


def bases(engine: Engine) -> tuple[str, str]:
    """The image to run on and the one to build with: Python's official, or our own two."""
    official = versions.OFFICIAL_PYTHON_IMAGE
    if engine.has_image(official):
        return official, official
    recipe = paths.RECIPES / "python" / "Containerfile"
    key = hashlib.sha256(recipe.read_bytes()).hexdigest()[:12]
    own = (f"{_OWN_PYTHON}:run-{key}", f"{_OWN_PYTHON}:build-{key}")
    if all(engine.has_image(image) for image in own):
        return own
    if registry.pull(engine, official):
        return official, official
    _make_python(engine, recipe, own)
    return own


def _make_python(engine: Engine, recipe: Path, references: tuple[str, str]) -> None:
    base = debian.ensure(engine)
    context = paths.IMAGES / "python-context"
    shutil.rmtree(context, ignore_errors=True)
    context.mkdir(parents=True)
    shutil.copy(recipe, context)
    shutil.copy(_host_certificates(), context / "certificates.crt")
    try:
        for stage, reference in zip(("run", "build"), references, strict=True):
            with step(f"making a base image with Python to {stage} on, about half a minute"):
                logged(
                    f"docker-build-python-{stage}",
                    engine.build_command(
                        context,
                        context / "Containerfile",
                        reference,
                        {"BASE_IMAGE": base},
                        stage=stage,
                    ),
                    env=engine.build_env(),
                )
    finally:
        shutil.rmtree(context, ignore_errors=True)


def _host_certificates() -> Path:
    """The file of certificates that programs of this machine trust."""
    named = (os.environ.get(name) for name in ("PIP_CERT", "SSL_CERT_FILE"))
    usual = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
    for candidate in (*named, *usual):
        if candidate and Path(candidate).is_file():
            return Path(candidate)
    raise ClusterError("this machine has no file of trusted certificates (ca-certificates)")
