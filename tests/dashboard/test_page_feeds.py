"""Studies that are looked at: what is dropped is freed, and what fails begins anew."""

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from hyperband.dashboard.feeds import Feed
from hyperband.dashboard.snapshot import Snapshot
from tests.dashboard.played import write_run
from tests.dashboard.test_page_access import STUDY as IN_CLUSTER
from tests.dashboard.test_page_access import TEAM, scene, until
from tests.dashboard.web import STUDY, Site, of_folder

VIEWS = ("", "/decisions", "/figures/importance", "/trials", "/trials/3")


@pytest.fixture
def uncollected() -> Iterator[None]:
    """Meanwhile Python's collector does nothing: what is freed lies in no cycle."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def _dropped(
    site: Site, study: str, key: tuple[str, str], token: str
) -> tuple[weakref.ref[Feed], weakref.ref[Snapshot]]:
    """A feed and its version, which somebody has looked at, after they were dropped."""
    for view in VIEWS:
        status, _ = await site.ask(study + view, token)
        assert status == 200
    assert site.feeds is not None
    feed, snapshot = await site.feeds.get(*key)
    found = weakref.ref(feed), weakref.ref(snapshot)
    site.feeds.drop_all()
    return found


@pytest.mark.usefixtures("uncollected")
async def test_a_study_of_a_cluster_that_is_dropped_is_freed() -> None:
    async with scene() as here:
        feed, snapshot = await _dropped(here.page, IN_CLUSTER, (TEAM, "digits"), "ann")
        await until(lambda: feed() is None and snapshot() is None)


@pytest.mark.usefixtures("uncollected")
async def test_a_run_that_is_dropped_is_freed(tmp_path: Path) -> None:
    write_run(tmp_path, 36, 1500.0)
    async with of_folder(tmp_path) as site:
        feed, snapshot = await _dropped(site, STUDY, ("default", "digits"), "the-token")
        await until(lambda: feed() is None and snapshot() is None)
