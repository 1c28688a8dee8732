"""`make release`: builds what a release publishes, from the commit that is checked out.

Into the folder go the wheel, the chart's package, the plain manifests, both images as archives for
`docker load` or `regctl image import`, a bill of materials (CycloneDX) and the checksums of all.
The same commit on the same base image gives the same bits: every time in them is the commit's.
"""

import argparse
import gzip
import hashlib
import io
import shutil
import sys
import tarfile
import tempfile
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from hack import page
from hack.chart import helm
from hack.chart.files import CHART, NAME
from hack.cluster import engine as engines
from hack.cluster import gobuild, images, paths
from hack.cluster.run import ClusterError, capture, logged, step
from hyperband.version import VERSION

SUMS: Final = "SHA256SUMS"
_IMAGES: Final = (images.OPERATOR_RECIPE, images.SIDECAR_RECIPE)


@dataclass(frozen=True)
class Release:
    """What is built from, and where to.

    Attributes:
        sources: the files of the commit, and no others.
        folder: of what is built.
        revision: the commit.
        moment: its time, in seconds since 1970.
    """

    sources: Path
    folder: Path
    revision: str
    moment: int

    @property
    def env(self) -> dict[str, str]:
        """For programs that take their clock from it."""
        constraints = str(self.sources / "constraints.txt")
        moment = str(self.moment)
        return {
            "SOURCE_DATE_EPOCH": moment,
            "SOURCE_DATE_EPOC": moment,  # as regctl v0.11 spells it
            "PIP_CONSTRAINT": constraints,
        }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where to; what is in it is replaced")
    parser.add_argument("--no-cache", action="store_true", help="build each layer of images anew")
    options = parser.parse_args()
    folder = options.folder.resolve()
    require_release(_git("status", "--porcelain"), folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as scratch:
        sources = Path(scratch) / "sources"
        _check_out(sources)
        moment = int(_git("log", "-1", "--format=%ct"))
        release = Release(sources, folder, _git("rev-parse", "HEAD"), moment)
        build(release, Path(scratch), cached=not options.no_cache)
    for path in sorted(folder.iterdir()):
        print(f"{path.stat().st_size / 2**20:8.1f} MiB  {path.name}")
    return 0


def build(release: Release, scratch: Path, *, cached: bool = True) -> None:
    """Build all of it; `scratch` is a folder for what is of no use afterwards."""
    page.ensure(release.sources)
    page.ensure(paths.REPOSITORY)  # of which the images are made
    with step("building the wheel"):
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
        command = [*pip, "wheel", "--no-deps", f"--wheel-dir={release.folder}"]
        logged("release-wheel", [*command, str(release.sources)], env=release.env)
    program = helm.program()
    with step("packaging the chart"):
        command = [program, "package", f"--destination={release.folder}"]
        logged("release-chart", [*command, str(release.sources / CHART)])
        package = release.folder / f"{NAME}-{VERSION}.tgz"
        package.write_bytes(restamp(package.read_bytes(), release.moment))
    _write_manifests(release)
    with step("listing what the operator is made of"):
        _write_materials(release, scratch)
    _build_images(release, scratch, cached=cached)
    write_sums(release.folder)


def restamp(package: bytes, moment: int) -> bytes:
    """A gzipped tar with its files in order, of nobody, and all of the same time."""
    tar_bytes, gzip_bytes = io.BytesIO(), io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(package)) as old,
        tarfile.open(fileobj=tar_bytes, mode="w") as new,
    ):
        for entry in sorted(old.getmembers(), key=lambda member: member.name):
            entry.mtime, entry.uid, entry.gid, entry.uname, entry.gname = moment, 0, 0, "", ""
            entry.pax_headers = {}
            new.addfile(entry, old.extractfile(entry) if entry.isfile() else None)
    with gzip.GzipFile(fileobj=gzip_bytes, mode="wb", mtime=moment) as compressed:
        compressed.write(tar_bytes.getvalue())
    return gzip_bytes.getvalue()


def write_sums(folder: Path) -> None:
    """The folder's files as `sha256sum --check` reads them."""
    files = sorted(folder.iterdir())
    sums = (f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files)
    (folder / SUMS).write_text("".join(sums), encoding="ascii")


def require_release(changes: str, folder: Path) -> None:
    """Raises `ClusterError` where something is uncommitted, or the folder holds something else."""
    if changes:
        raise ClusterError(f"a release is made of a commit; commit or stash these:\n{changes}")
    if folder.exists() and any(folder.iterdir()) and not (folder / SUMS).exists():
        raise ClusterError(f"{folder} holds something that is no release: name another folder")


def _check_out(target: Path) -> None:
    archive = target.with_suffix(".tar")
    _git("-c", "tar.umask=0022", "archive", f"--output={archive}", "HEAD")
    with tarfile.open(archive) as tar:
        tar.extractall(target, filter="data")


def _write_manifests(release: Release) -> None:
    files = [
        *release.sources.glob("crds/*.yaml"),
        *release.sources.glob(f"{helm.MANIFESTS}/*.yaml"),
    ]
    texts = [path.read_text(encoding="utf-8") for path in sorted(files)]
    text = "---\n".join(texts)
    (release.folder / f"{NAME}-{VERSION}.yaml").write_text(text, encoding="utf-8")


def _write_materials(release: Release, scratch: Path) -> None:
    """Of an environment with just what the image has; the base image's maker tells of the rest."""
    wanted, environment = scratch / "requirements.txt", scratch / "environment"
    command = [sys.executable, "hack/requirements.py", "run"]
    wanted.write_text(capture(command, cwd=release.sources), encoding="utf-8")
    logged("release-venv", [sys.executable, "-m", "venv", "--without-pip", str(environment)])
    python = environment / "bin" / "python"
    command = [sys.executable, "-m", "pip", f"--python={python}", "--disable-pip-version-check"]
    logged("release-install", [*command, "install", f"--requirement={wanted}"], env=release.env)
    target = release.folder / f"{NAME}-{VERSION}.cdx.json"
    command = [sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible"]
    command += [f"--pyproject={release.sources / 'pyproject.toml'}", f"--output-file={target}"]
    logged("release-materials", [*command, str(python)])


def _build_images(release: Release, scratch: Path, *, cached: bool) -> None:
    engine = engines.ensure()
    gobuild.build([gobuild.REGCTL])
    regctl = str(gobuild.REGCTL.binary)
    stamp = datetime.fromtimestamp(release.moment, UTC).isoformat()
    for recipe in _IMAGES:
        named = replace(recipe, arguments={**recipe.arguments, "REVISION": release.revision})
        images.build(engine, named, cached=cached)
        saved = scratch / f"{recipe.title}.tar"
        engine.docker("save", f"--output={saved}", recipe.reference)
        name = recipe.repository.rpartition("/")[2]
        reference = f"ocidir://{scratch / name}:{VERSION}"
        target = release.folder / f"{name}-{VERSION}.image.tar"
        with step(f"stamping the {recipe.title} image with the commit's time"):
            for words in (
                ["import", reference, str(saved)],
                ["mod", reference, "--replace", "--layer-compress=gzip", f"--time=set={stamp}"],
                ["export", f"--name={recipe.reference}", reference, str(target)],
            ):
                logged("release-image", [regctl, "image", *words], env=release.env)


def _git(*words: str) -> str:
    return capture(["git", "-C", str(paths.REPOSITORY), *words]).strip()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ClusterError as failure:
        print(f"hack.release: {failure}", file=sys.stderr)
        sys.exit(failure.exit_code)
