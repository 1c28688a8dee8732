"""Where the commands of a page run: a folder with what they name, and programs of these names.

`hyperband` and `python3` are those of the tests. `make` shows what it would do: a target that is
not there, or a variable that breaks it, fails. The real targets are run by CI, or by hand for
hours. On a cluster, `kubectl` and `helm` leave alone what a cluster has once: the server is asked
what it would say (--dry-run=server).
"""

import copy
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from hyperband.api import names
from hyperband.api.schema.study_spec import SPEC
from tests.docs.documents import ROOT, Block
from tests.manifests import load_manifest

LINKED: Final = ("manifests", "charts", "crds", "examples", "benchmarks")
CONVERTED: Final = ROOT / "tests/cli/golden-convert"
TIMEOUT: Final = 500  # seconds a block, on a busy machine; a bound, not an expectation

# As quick as a training can be, on any configuration of the sample.
TRAINING: Final = """
from hyperband.report import parameters, report, resource_target
rate = parameters(learning_rate=0.1)["learning_rate"]
for epoch in range(1, int(resource_target(27)) + 1):
    report(epochs=epoch, val_loss=rate + 1 / epoch)
"""
MAKE: Final = f'exec make --no-print-directory -n -C {ROOT} PYTHON={sys.executable} "$@" >/dev/null'
# The server is asked, and nothing of what all tests share is changed.
KUBECTL: Final = """
case "$* " in
  "create namespace "*) set -- "$@" --dry-run=client ;;
  *" crds/ "*|*manifests/install*) set -- "$@" --dry-run=server --force-conflicts ;;
esac
exec "$KUBECTL" "$@"
"""
HELM: Final = """
case "$1" in install|upgrade) set -- "$@" --dry-run=server --take-ownership ;; esac
exec "$HELM" "$@"
"""


def base_study() -> dict[str, Any]:
    """The sample, with fewer trials: what fragments are fragments of."""
    body: dict[str, Any] = load_manifest(ROOT / "manifests/samples/digits.yaml")
    body["spec"] |= {"maxTrials": 9, "parallelism": 4}
    return body


def as_study(content: Any) -> dict[str, Any]:
    """A manifest of the documentation as a whole study.

    Raises:
        ValueError: it is neither a study nor fields of one.
    """
    if isinstance(content, Mapping) and content.get("kind") == names.STUDY_KIND:
        return dict(content)
    fields = content.get("spec", content) if isinstance(content, Mapping) else {}
    known = SPEC["properties"]
    if not fields or not set(fields) <= set(known):
        raise ValueError("is neither a HyperbandStudy nor fields of its spec")
    body = base_study()
    template = merged(body["spec"]["trialTemplate"], fields.get("trialTemplate", {}))
    body["spec"] |= {**fields, "trialTemplate": template}
    return body


def merged(old: Any, new: Any) -> Any:
    """`new` in place of `old`; fields of objects one by one, in lists those of the same name."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return {**old, **{key: merged(old.get(key), value) for key, value in new.items()}}
    if _named(old) and _named(new):
        known = {each["name"]: each for each in old}
        return [merged(known.get(each["name"], {}), each) for each in new]
    return copy.deepcopy(new)


def _named(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(each, Mapping) and "name" in each for each in value
    )


class Workplace:
    """A folder for the blocks of one page; `programs` are further shell scripts by name."""

    def __init__(self, folder: Path, programs: Mapping[str, str] | None = None) -> None:
        self.folder, self._bin = folder / "here", folder / "bin"
        self._bin.mkdir(parents=True)
        hyperband = f'exec {sys.executable} -m hyperband.cli "$@"'
        python = f'exec {sys.executable} "$@"'
        for name, script in {
            "hyperband": hyperband,
            "python3": python,
            "make": MAKE.replace("exec make", f"exec {shutil.which('make') or 'make'}"),
            **(programs or {}),
        }.items():
            path = self._bin / name
            path.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
            path.chmod(path.stat().st_mode | stat.S_IXUSR)
        self.environment = {
            **os.environ,
            "PATH": f"{self._bin}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT / "operator"),
            "KUBECONFIG": str(self.folder / "no-cluster"),
            # What a training container has, and what its script knows.
            "HYPERBAND_REPORT_FILE": str(self.folder / "reports.jsonl"),
            "epoch": "3",
            "loss": "0.21",
        }
        self._furnish()

    def _furnish(self) -> None:
        self.folder.mkdir()
        for name in LINKED:
            (self.folder / name).symlink_to(ROOT / name)
        self._write("train.py", TRAINING)
        study = yaml.safe_dump(base_study(), sort_keys=False)
        self._write("study.yaml", study)
        self._write("more/study.yaml", study)
        self._write("kustomization.yaml", "resources: [study.yaml]\n")
        shutil.copy(CONVERTED / "polyaxon-hyperband.in.yaml", self.folder / "polyaxonfile.yml")
        shutil.copy(CONVERTED / "katib-hyperband.in.yaml", self.folder / "experiment.yaml")

    def _write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")

    def follow(self, page: Iterable[Block], namespace: str = "my-team") -> None:
        """Does what a reader does: makes its files, and runs its commands in their order.

        Raises:
            AssertionError: a command has failed; with what it has said.
        """
        steps = list(page)
        own = {block.told for block in steps if block.kind == "file"}
        if "train.py" in own:  # then the study is the page's, too
            (self.folder / "study.yaml").unlink()
        for block in steps:
            if block.kind == "file":
                self._write(block.told, block.text)
        for block in steps:
            if block.kind == "into":
                self._put(block)
            elif block.language == "sh" and block.kind != "not run":
                self._run(block, namespace)

    def _put(self, block: Block) -> None:
        path = self.folder / block.told
        body = load_manifest(path)
        body["spec"] |= yaml.safe_load(block.text)  # in place of the fields of these names
        path.write_text(yaml.safe_dump(body, sort_keys=False), "utf-8")

    def _run(self, block: Block, namespace: str) -> None:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block.text.replace("my-team", namespace)],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        assert done.returncode == 0, f"{block}: exit code {done.returncode}\n{done.stdout}"
