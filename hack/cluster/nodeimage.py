"""kind's node image: the official one where it can be pulled, else one made on the spot."""

import hashlib
import shutil
from pathlib import Path
from typing import Final

from hack.cluster import capability, debian, gobuild, imagetar, paths, registry, versions
from hack.cluster.engine import Engine
from hack.cluster.run import capture, logged, say, step

_REPOSITORY: Final = "hyperband.dev/node"
_RECIPE: Final = paths.RECIPES / "node"
_WRAPPER: Final = "runc-without-sys-resource"


def ensure(engine: Engine) -> tuple[str, bool]:
    """The reference of a node image that the engine has, and whether it is the official one."""
    if engine.has_image(versions.OFFICIAL_NODE_IMAGE):
        return versions.OFFICIAL_NODE_IMAGE, True
    own = f"{_REPOSITORY}:{versions.KUBERNETES}-{recipe_key()}"
    if engine.has_image(own):
        return own, False
    archive = paths.IMAGES / f"node-{recipe_key()}.tar"
    if not archive.exists() and registry.pull(engine, versions.OFFICIAL_NODE_IMAGE):
        return versions.OFFICIAL_NODE_IMAGE, True
    if archive.exists():
        with step("loading the cached node image into the engine, about 15 s"):
            engine.docker("load", "--input", str(archive))
        return own, False
    _make(engine, own)
    _save(engine, own, archive)
    engine.forget_others(_REPOSITORY, {own})
    engine.forget_others(f"{_REPOSITORY}-packages", {f"{_REPOSITORY}-packages:{recipe_key()}"})
    return own, False


def recipe_key() -> str:
    """A hash of all that the image is made from; another recipe gives another image."""
    digest = hashlib.sha256()
    digest.update(f"{versions.KIND} {versions.DEBIAN} {versions.PAUSE}\n".encode())
    sources = [paths.RECIPES / "engine" / _WRAPPER]
    sources += [path for path in sorted(_RECIPE.rglob("*")) if path.is_file()]
    for path in sources:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    for program in gobuild.NODE_PROGRAMS:
        digest.update(f"{program.name} {program.version} {program.linker_flags}\n".encode())
    digest.update(b"wrapped" if capability.lacks_sys_resource() else b"plain")
    return digest.hexdigest()[:12]


def _make(engine: Engine, reference: str) -> None:
    say("the node image cannot be pulled and is made here: 10 to 15 min the first time")
    gobuild.build(gobuild.NODE_PROGRAMS)
    base = debian.ensure(engine)
    context = paths.IMAGES / "node-context"
    shutil.rmtree(context, ignore_errors=True)
    context.mkdir(parents=True)
    try:
        _fill_context(engine, context, base)
        with step("building the node image, about 1 min"):
            _build_stage(engine, context, "node", reference, base)
    finally:
        shutil.rmtree(context, ignore_errors=True)


def _fill_context(engine: Engine, context: Path, base: str) -> None:
    shutil.copy(_RECIPE / "Containerfile", context)
    shutil.copytree(_RECIPE / "own-files", context / "own-files")
    if capability.lacks_sys_resource():
        shutil.copy(paths.RECIPES / "engine" / _WRAPPER, context / "own-files" / "kind" / "bin")
    kind = gobuild.module_folder("sigs.k8s.io/kind", versions.KIND)
    shutil.copytree(kind / "images" / "base" / "files", context / "kind-files")
    # Go's module cache is read-only, which a copy keeps.
    capture(["chmod", "--recursive", "u+w", str(context)])
    (context / "bin").mkdir()
    for program in gobuild.NODE_PROGRAMS:
        if program.name in {"kubeadm", "kubelet", "kubectl"}:
            shutil.copy(program.binary, context / "bin")
    tools = _kube_proxy_tools(engine, context, base)
    (context / "images").mkdir()
    with step("writing the images of Kubernetes' components"):
        _write_component_images(context / "images", tools)


def _write_component_images(folder: Path, kube_proxy_tools: bytes) -> None:
    for program, tag in _component_tags().items():
        archive = folder / f"{program.name}.tar"
        below = kube_proxy_tools if program.name == "kube-proxy" else None
        imagetar.write(archive, [tag], program.binary, below=below)
    pause = _listed_images()["pause"]
    tags = [f"{pause.rpartition(':')[0]}:{version}" for version in versions.PAUSE]
    imagetar.write(folder / "pause.tar", tags, gobuild.build_pause())


def _component_tags() -> dict[gobuild.Program, str]:
    """The programs that run as pods, each with the image name that kubeadm will ask for."""
    listed = _listed_images()
    return {
        program: listed[program.name] for program in gobuild.NODE_PROGRAMS if program.name in listed
    }


def _listed_images() -> dict[str, str]:
    kubeadm = next(p for p in gobuild.NODE_PROGRAMS if p.name == "kubeadm")
    listed = capture(
        [
            str(kubeadm.binary),
            "config",
            "images",
            "list",
            f"--kubernetes-version={versions.KUBERNETES}",
        ]
    ).split()
    return {name.rpartition("/")[2].partition(":")[0]: name for name in listed}


def _kube_proxy_tools(engine: Engine, context: Path, base: str) -> bytes:
    """A tar of the programs that kube-proxy calls, out of the node's own packages."""
    packages = f"{_REPOSITORY}-packages:{recipe_key()}"
    with step("installing the node image's Debian packages, about 1 min"):
        _build_stage(engine, context, "packages", packages, base)
    out = context / "kube-proxy"
    out.mkdir()
    shutil.copy(_RECIPE / "kube-proxy-files.sh", out)
    script = "sh /out/kube-proxy-files.sh > /out/tools.tar"
    run = ["run", "--rm", "--network=none", f"--volume={out}:/out", packages, "sh", "-c", script]
    engine.docker(*run)
    tools = (out / "tools.tar").read_bytes()
    shutil.rmtree(out)
    return tools


def _build_stage(engine: Engine, context: Path, stage: str, reference: str, base: str) -> None:
    logged(
        f"docker-build-node-{stage}",
        engine.build_command(
            context,
            context / "Containerfile",
            reference,
            {"BASE_IMAGE": base, "KUBERNETES_VERSION": versions.KUBERNETES},
            stage=stage,
        ),
        env=engine.build_env(),
    )


def _save(engine: Engine, reference: str, archive: Path) -> None:
    with step("saving the node image into the cache"):
        # One for another version of Kubernetes may stay: going back and forth is cheap then.
        archives = sorted(paths.IMAGES.glob("node-*.tar"), key=lambda path: path.stat().st_mtime)
        for older in archives[:-1]:
            older.unlink()
        unfinished = archive.with_suffix(".part")
        engine.docker("save", "--output", str(unfinished), reference)
        unfinished.rename(archive)
