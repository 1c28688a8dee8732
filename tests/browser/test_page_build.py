"""`hack.page` where several checkouts of one machine build at once; nothing is really built."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from hack import page
from hack.cluster import run


def checkout(folder: Path, text: str) -> Path:
    """A repository with a page of its own."""
    sources = folder / page.SOURCES
    (sources / "src").mkdir(parents=True)
    for name in (*page.LOCKED, "build.mjs", "tsconfig.json"):
        (sources / name).write_text("the same")
    (sources / "src/main.tsx").write_text(text)
    return folder


class Builds:
    """In npm's place. The first build goes on once the other one has come to something."""

    def __init__(self) -> None:
        self.first, self.other = threading.Event(), threading.Event()
        self.installed = 0

    def logged(self, log: str, command: Sequence[str], *, env: Any, cwd: Path) -> None:
        if log == "page-packages":
            self.installed += 1
            return
        if self.first.is_set():
            self.other.set()  # it builds, too
        else:
            self.first.set()
            assert self.other.wait(60)
        (cwd / "built").mkdir()
        (cwd / "built/app.js").write_text((cwd / "src/main.tsx").read_text())

    def say(self, message: str) -> None:
        if "waiting" in message:
            self.other.set()


@pytest.fixture
def builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Builds:
    made = Builds()
    monkeypatch.setattr(page, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(page, "npm", lambda: "npm")
    monkeypatch.setattr(page, "logged", made.logged)
    monkeypatch.setattr(run, "say", made.say)
    return made


@pytest.mark.parametrize("texts", [("one", "another"), ("one", "one")])
def test_builds_at_once_keep_to_their_own_sources(
    texts: tuple[str, str], builds: Builds, tmp_path: Path
) -> None:
    checkouts = [checkout(tmp_path / f"c{i}", text) for i, text in enumerate(texts)]
    with ThreadPoolExecutor() as pool:
        first = pool.submit(page.built, checkouts[0])
        assert builds.first.wait(60)
        second = pool.submit(page.built, checkouts[1])
        made = [each.result(60) for each in (first, second)]
    assert [(folder / "app.js").read_text() for folder in made] == list(texts)
    assert builds.installed == 1


def test_a_file_in_another_folder_makes_another_page(builds: Builds, tmp_path: Path) -> None:
    builds.first.set()
    made = []
    for name in ("views", "widgets"):
        repository = checkout(tmp_path / name, "the same")
        (repository / page.SOURCES / "src" / name).mkdir()
        (repository / page.SOURCES / "src" / name / "zoom.tsx").write_text("the same")
        made.append(page.built(repository))
    assert made[0] != made[1]
