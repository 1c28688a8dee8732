"""`make page`: bundles the dashboard's page into operator/hyperband/dashboard/static.

Packages come from npm's registry into the cache, by the lock file. Each set of sources is built
once and kept there, so that another checkout, an image or a release of the same needs no npm.
"""

import argparse
import hashlib
import shutil
import sys
from pathlib import Path
from typing import Final

from hack.cluster import apt, paths
from hack.cluster.run import ClusterError, Missing, alone, capture, logged, step

SOURCES: Final = Path("dashboard")
STATIC: Final = Path("operator/hyperband/dashboard/static")
LOCKED: Final = ("package.json", "package-lock.json")
CACHE: Final = paths.CACHE / "page"
LEAST_NODE: Final = 18
_MEND: Final = "install Node.js 18 or later with npm"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="check types and build, keep nothing")
    options = parser.parse_args()
    if options.check:
        built(paths.REPOSITORY)
    else:
        print(ensure(paths.REPOSITORY))
    return 0


def ensure(repository: Path) -> Path:
    """Have the page of these sources beside the server's modules; built where it is not yet."""
    made, target = built(repository), repository / STATIC
    target.mkdir(parents=True, exist_ok=True)
    wanted = {path.name: path.read_bytes() for path in made.iterdir()}
    for path in target.iterdir():
        if path.name not in wanted:
            path.unlink()
    for name, content in wanted.items():
        file = target / name
        if not file.exists() or file.read_bytes() != content:
            file.write_bytes(content)
    return target


def built(repository: Path) -> Path:
    """The folder of the built page, in the cache."""
    sources = repository / SOURCES
    target = CACHE / f"built-{_key(sources, _files(sources))}"
    if target.exists():
        return target
    with alone(CACHE / "lock"):
        # Another checkout may have built the same meanwhile.
        return target if target.exists() else _build(sources, target)


def rebuilt(repository: Path, target: Path) -> Path:
    """The page built anew into a folder that is not there yet, whatever the cache has."""
    with alone(CACHE / "lock"):
        return _build(repository / SOURCES, target)


def _build(sources: Path, target: Path) -> Path:
    work = _packages(sources)
    with step("bundling the page"):
        for name in ("src", "built"):
            shutil.rmtree(work / name, ignore_errors=True)
        shutil.copytree(sources / "src", work / "src")
        for name in ("build.mjs", "tsconfig.json"):
            shutil.copy(sources / name, work)
        logged("page-build", [npm(), "run", "build"], env=_quiet(), cwd=work)
        shutil.move(work / "built", target)
    return target


def _packages(sources: Path) -> Path:
    """A folder with the packages of the lock file; the cache's lock is held."""
    work = CACHE / f"packages-{_key(sources, [sources / name for name in LOCKED])}"
    if (work / "complete").exists():
        return work
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    for name in LOCKED:
        shutil.copy(sources / name, work)
    with step("installing the page's packages, about 1 min the first time"):
        # No package needs a script of its own to be run, nor may run one.
        logged("page-packages", [npm(), "ci", "--ignore-scripts"], env=_quiet(), cwd=work)
    (work / "complete").touch()
    return work


def npm() -> str:
    """The program, with a Node.js that is new enough; installed where that can be done."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        if not apt.usable():
            raise Missing("the dashboard's page is built by npm, which is not here", _MEND)
        apt.install(["nodejs", "npm"])
    version = capture(["node", "--version"]).strip()
    if int(version.lstrip("v").partition(".")[0]) < LEAST_NODE:
        raise ClusterError(f"node is {version}, too old for the dashboard's page; {_MEND}")
    return "npm"


def package(name: str, repository: Path = paths.REPOSITORY) -> Path:
    """The folder of one of the packages: tests run what is no part of the page."""
    with alone(CACHE / "lock"):
        return _packages(repository / SOURCES) / "node_modules" / name


def _quiet() -> dict[str, str]:
    return {
        "npm_config_audit": "false",
        "npm_config_fund": "false",
        "npm_config_update_notifier": "false",
        "npm_config_cache": str(CACHE / "npm"),
    }


def _files(sources: Path) -> list[Path]:
    own = [path for path in (sources / "src").rglob("*") if path.is_file()]
    return [*(sources / name for name in (*LOCKED, "build.mjs", "tsconfig.json")), *sorted(own)]


def _key(sources: Path, files: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.relative_to(sources)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ClusterError as failure:
        print(f"hack.page: {failure}", file=sys.stderr)
        sys.exit(failure.exit_code)
