"""Campaigns against the targets, and the replay of one input.

    python -m tests.fuzz --runs 1000000                 # each target, with both engines
    python -m tests.fuzz --target metrics --input FILE  # what happens with that input

A campaign goes on where an earlier one of the same code has stopped: its executions, its findings
and the corpus are in the cache. The last line is `N executions, M findings`.
"""

import argparse
import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
# What an execution counts for: changes of it begin the counts anew.
SOURCES: Final = ("operator/hyperband/api", "operator/hyperband/core", "operator/hyperband/report")
TARGETS: Final = ("metrics", "study", "reporter")
ENGINES: Final = ("atheris", "hypothesis")
MAX_RESTARTS: Final = 20  # of an engine that an input has ended: a hang, or memory


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs what the command line asks for; 1 if anything was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--runs", type=int, default=1_000_000, help="of each target and engine")
    parser.add_argument("--target", choices=TARGETS)
    parser.add_argument("--engine", choices=ENGINES)
    parser.add_argument("--input", type=Path, help="a finding to replay")
    given = parser.parse_args(arguments)
    if given.input is not None:
        return _replay(given.target, given.input)
    targets = [given.target] if given.target else TARGETS
    executions = findings = 0
    for engine in [given.engine] if given.engine else ENGINES:
        if importlib.util.find_spec(engine) is None:
            print(
                f"{engine} cannot be installed here (it has wheels for CPython on Linux): left out"
            )
            continue
        for target in targets:
            folder = campaign(engine, target)
            done, found = _campaign(engine, target, given.runs, folder)
            print(f"{engine} {target}: {done} executions, {len(found)} findings", flush=True)
            for path in found:
                print(f"  {path.with_suffix('.txt').read_text().splitlines()[-1][:150]}")
                print(f"  make fuzz TARGET={target} INPUT={path}")
            executions, findings = executions + done, findings + len(found)
    print(f"{executions} executions, {findings} findings")
    return int(findings > 0)


def campaign(engine: str, target: str) -> Path:
    """Where counts and findings of a campaign are, for the code as it is."""
    code = hashlib.sha256()
    for source in sorted(path for each in SOURCES for path in (ROOT / each).rglob("*.py")):
        code.update(source.read_bytes())
    return _cache() / code.hexdigest()[:12] / f"{engine}-{target}"


def corpus(target: str) -> Path:
    """The inputs that have reached something new, whatever the code was."""
    return _cache() / "corpus" / target


def executed(folder: Path) -> int:
    """How many executions a campaign has behind it."""
    try:
        return int(json.loads((folder / "count.json").read_text()))
    except FileNotFoundError:
        return 0


def _cache() -> Path:
    return (
        Path(os.environ.get("HYPERBAND_CACHE", "~/.cache/hyperband-operator")).expanduser() / "fuzz"
    )


def _campaign(engine: str, target: str, runs: int, folder: Path) -> tuple[int, list[Path]]:
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", f"tests.fuzz.with_{engine}", target, str(runs)]
    with (folder / "log.txt").open("a") as log:
        for _ in range(MAX_RESTARTS):
            if executed(folder) >= runs:
                break
            subprocess.run(command, stdout=log, stderr=log, cwd=ROOT, check=False)
            _take_over(folder)
    return executed(folder), sorted(folder.glob("finding-*.bin"))


def _take_over(folder: Path) -> None:
    """What libFuzzer leaves of an input that has ended the process: finding-timeout-…, -oom-…"""
    for path in folder.glob("finding-*"):
        if not path.suffix:
            path.with_suffix(".txt").write_text(f"the process has ended: {path.name}\n")
            path.rename(path.with_suffix(".bin"))


def _replay(target: str | None, path: Path) -> int:
    if target is None:
        sys.exit("name the target of the input: TARGET=metrics, study or reporter")
    from tests.fuzz.targets import one_input  # takes a second, which help need not wait for

    one_input(target, path.read_bytes())
    print("1 executions, 0 findings")
    return 0


if __name__ == "__main__":
    sys.exit(main())
