"""Every command and every manifest of the documentation is tried, and nothing else gets in."""

import ast
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest
import yaml

from hack.docs.options_page import option_names, verbs
from hyperband.api.files import read_documents
from hyperband.cli.validate import judge
from tests.docs.documents import KINDS, LANGUAGES, PAGES, ROOT, Block, blocks, inline_code
from tests.docs.workplace import Workplace, as_study

ALL: Final = [block for page in PAGES for block in blocks(page)]
MANIFESTS: Final = [b for b in ALL if b.language == "yaml" and b.kind != "not run"]
# What nothing can try here, and why: few, and each is looked at before it gets onto this list.
NOT_RUN: Final[Mapping[str, list[str]]] = {
    "docs/contributing/testing.md": ["asks the registry of npm, and writes the lock file"],
    "docs/how-to/python.md": ["installs the package, which the tests have on their path"],
    "docs/tutorial.md": [
        "installs the package, which the tests have on their path",
        "the tests have a cluster and an operator already",
    ],
    "docs/how-to/autoscaling.md": ["is Karpenter's, whose definitions are not in the cluster"],
    "docs/how-to/dashboard.md": [
        "serves until it is interrupted, as tests/dashboard has it do",
        "forwards until it is interrupted, as tests/cluster/test_chart_page.py has it do",
    ],
    "docs/how-to/installing.md": [
        "pushes to a registry of yours",
        "test_chart_operator.py installs the chart from these images",
    ],
    "docs/how-to/observability.md": [
        "is a configuration of Prometheus, no manifest",
        "needs an operator that runs in the cluster",
        "needs a collector of traces",
    ],
}
PROGRAMS: Final = ("hyperband", "kubectl", "make", "helm", "docker", "pip")


def identify(block: Block) -> str:
    return str(block)


@pytest.mark.parametrize("block", ALL, ids=identify)
def test_each_block_says_how_it_is_tried(block: Block) -> None:
    assert block.language in LANGUAGES, "fence it, and name its language: sh, yaml or python"
    assert block.kind in ("", *KINDS)
    if block.kind == "cluster":
        assert block.language == "sh", "only commands need a cluster"
    if block.kind == "into":
        assert block.language == "yaml"
    if not block.language:
        first = {line.split()[0] for line in block.text.splitlines() if line.strip()}
        assert first.isdisjoint((*PROGRAMS, "$")), "commands are to be sh, so that they are run"


def test_comments_before_blocks_are_known() -> None:
    """A misspelt one would leave its block to chance."""
    for page in PAGES:
        text = (ROOT / page).read_text("utf-8")
        known = len(re.findall(r"^<!-- .* -->\n```", text, re.MULTILINE))
        assert known == sum(bool(block.kind) for block in blocks(page)), page


def test_what_is_not_run_is_on_the_list() -> None:
    found: dict[str, list[str]] = {}
    for block in ALL:
        if block.kind == "not run":
            found.setdefault(block.page, []).append(block.told)
    assert found == NOT_RUN


@pytest.mark.parametrize("block", MANIFESTS, ids=identify)
def test_manifests_are_valid_studies(block: Block) -> None:
    (document,) = read_documents(block.text.encode(), str(block))
    content = yaml.safe_dump(as_study(document.content), sort_keys=False).encode()
    (verdict,) = judge(content, str(block))
    assert verdict.problems == []


@pytest.mark.parametrize("block", [b for b in ALL if b.language == "python"], ids=identify)
def test_python_is_python(block: Block) -> None:
    ast.parse(block.text)


@pytest.mark.parametrize("page", PAGES)
def test_commands_run_without_a_cluster(page: str, tmp_path: Path) -> None:
    steps = [block for block in blocks(page) if block.kind != "cluster"]
    Workplace(tmp_path).follow(steps)


TARGETS: Final = set(
    re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
)


@pytest.mark.parametrize("page", [*PAGES, "CHANGELOG.md"])
def test_commands_in_sentences_exist(page: str) -> None:
    """`hyperband VERB --option` and `make TARGET`: verbs, options and targets are there."""
    known = verbs()
    for code in inline_code(page):
        try:
            words = shlex.split(re.split(r"[|;&]", code)[0])
        except ValueError:  # half a quotation is no command
            continue
        if words[:1] == ["make"] and len(words) > 1:
            targets = [word for word in words[1:] if re.fullmatch("[a-z-]+", word)]
            assert set(targets[:1]) <= TARGETS, code
        if words[:1] == ["hyperband"] and len(words) > 1 and re.fullmatch("[a-z]+", words[1]):
            assert words[1] in known, code
            options = {word.partition("=")[0] for word in words[2:] if word.startswith("-")}
            assert options - {"-h", "--help"} <= option_names(known[words[1]]) | {"-"}, code
