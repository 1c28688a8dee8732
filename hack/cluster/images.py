"""The trial image: built when what it is made of changed, loaded where it is lacking."""

import hashlib
import os
import shutil
from pathlib import Path
from typing import Final

from hack.cluster import debian, kindcluster, paths, registry, versions
from hack.cluster.engine import Engine
from hack.cluster.run import ClusterError, logged, step

TRIAL: Final = "hyperband.dev/digits:dev"
_CONTAINERFILE: Final = Path("examples/digits/Containerfile")
# Folders of the repository that the image is made of. Only these go into the build's context:
# the classic builder would send the whole repository, history included.
_SOURCES: Final = (
    Path("examples/digits"),
    Path("examples/shell"),
    Path("operator/hyperband/report"),
)
_PACKAGE: Final = Path("operator/hyperband/__init__.py")
_NOT_COPIED: Final = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")
_OWN_PYTHON: Final = "hyperband.dev/python"


def ensure_trial(engine: Engine) -> None:
    """Build and load the trial image, both only where something changed."""
    build_trial(engine)
    if kindcluster.nodes(engine):
        kindcluster.load(engine, TRIAL)


def build_trial(engine: Engine) -> None:
    """Build the trial image where something changed."""
    context = paths.IMAGES / "trial-context"
    shutil.rmtree(context, ignore_errors=True)
    try:
        _stage(context)
        run_base, build_base = _bases(engine)
        content = f"{TRIAL.rpartition(':')[0]}:{_key(context, run_base)}"
        if not engine.has_image(content):
            with step("building the trial image, about 1 min the first time"):
                _build(engine, context, content, run_base, build_base)
    finally:
        shutil.rmtree(context, ignore_errors=True)
    engine.docker("tag", content, TRIAL)
    engine.forget_others(TRIAL.rpartition(":")[0], {content, TRIAL})


def push_trial(engine: Engine, reference: str) -> None:
    """Push the trial image under another name, to the registry that the name is of."""
    engine.docker("tag", TRIAL, reference)
    with step(f"pushing {reference}"):
        logged("docker-push", ["docker", "push", reference], env=engine.env)


def _stage(context: Path) -> None:
    for folder in _SOURCES:
        shutil.copytree(paths.REPOSITORY / folder, context / folder, ignore=_NOT_COPIED)
    shutil.copy(paths.REPOSITORY / _PACKAGE, context / _PACKAGE)


def _key(context: Path, base: str) -> str:
    digest = hashlib.sha256(f"{base} {versions.NUMPY} {versions.SCIKIT_LEARN}".encode())
    for path in sorted(context.rglob("*")):
        if path.is_file():
            mode = "x" if os.access(path, os.X_OK) else "-"
            digest.update(f"{path.relative_to(context)} {mode}\0".encode())
            digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _build(engine: Engine, context: Path, reference: str, run_base: str, build_base: str) -> None:
    logged(
        "docker-build-trial",
        engine.build_command(
            context,
            context / _CONTAINERFILE,
            reference,
            {
                "BASE_IMAGE": run_base,
                "BUILD_IMAGE": build_base,
                "NUMPY": versions.NUMPY,
                "SCIKIT_LEARN": versions.SCIKIT_LEARN,
            },
        ),
        env=engine.build_env(),
    )


def _bases(engine: Engine) -> tuple[str, str]:
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
