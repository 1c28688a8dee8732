"""Answers are made once for all, and no more of them than can be made."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hyperband.dashboard import studies
from hyperband.dashboard.answers import Answers
from hyperband.dashboard.feeds import UnavailableError
from tests.dashboard.played import live, write_run
from tests.dashboard.web import STUDY, of_folder


@pytest.fixture
def answers() -> Iterator[Answers]:
    made = Answers()
    yield made
    made.close()


async def test_more_views_than_can_be_made_are_refused_with_words(answers: Answers) -> None:
    shown, go_on = live().snapshot()[0], threading.Event()

    def slow() -> dict[str, Any]:
        go_on.wait(20.0)
        return {}

    keys = ("a", "b", None)
    asked = [asyncio.create_task(answers.of(shown, key, slow, most=3)) for key in keys]
    await asyncio.sleep(0)
    with pytest.raises(UnavailableError, match=r"3 views are to be made already: .* try again"):
        await answers.of(shown, "c", slow, most=3)
    again = asyncio.create_task(answers.of(shown, "a", slow, most=3))  # it is being made
    go_on.set()
    await asyncio.gather(*asked, again)
    assert (await answers.of(shown, "c", slow, most=3)).plain == b"{}"


async def test_one_namespace_leaves_room_for_the_others(answers: Answers) -> None:
    crowded, go_on = live().snapshot()[0], threading.Event()
    other = replace(crowded, body={"metadata": {"namespace": "other"}}, memo={})

    def slow() -> dict[str, Any]:
        go_on.wait(20.0)
        return {}

    asked = [asyncio.create_task(answers.of(crowded, None, slow, share=2)) for _ in range(2)]
    await asyncio.sleep(0)
    for key in ("a", None):
        with pytest.raises(UnavailableError, match="2 views are to be made already"):
            await answers.of(crowded, key, slow, share=2)
    asked.append(asyncio.create_task(answers.of(other, "a", slow, share=2)))
    go_on.set()
    assert [each.plain for each in await asyncio.gather(*asked)] == [b"{}"] * 3
    await answers.of(crowded, "a", slow, share=2)


async def test_what_nobody_waits_for_any_more_makes_room(answers: Answers) -> None:
    shown, go_on = live().snapshot()[0], threading.Event()
    made: list[str] = []

    def slow() -> dict[str, Any]:
        go_on.wait(20.0)
        return {}

    def late() -> dict[str, Any]:
        made.append("late")
        return {}

    busy = [asyncio.create_task(answers.of(shown, None, slow, most=3)) for _ in range(2)]
    left = asyncio.create_task(answers.of(shown, None, late, most=3))
    await asyncio.sleep(0)
    left.cancel()
    await asyncio.gather(left, return_exceptions=True)
    go_on.set()
    await asyncio.gather(*busy, answers.of(shown, None, slow, most=3))
    assert not made


async def test_the_list_of_studies_holds_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As all views, it is made in a thread of its own: there may be very many studies."""
    where, row = [], studies.row

    def noted(body: Any) -> dict[str, Any]:
        where.append(threading.current_thread())
        return row(body)

    monkeypatch.setattr(studies, "row", noted)
    write_run(tmp_path, 36, 1500.0)
    async with of_folder(tmp_path) as page:
        assert (await page.ask("/api/studies"))[0] == 200
    assert len(where) == 1 and where[0] is not threading.main_thread()


async def test_numbers_that_anybody_may_choose_are_not_kept(tmp_path: Path) -> None:
    write_run(tmp_path, 36, 1500.0)
    async with of_folder(tmp_path) as page:
        for path in ("", "/trials", "/decisions?limit=8", "/figures/curves", "/figures/best"):
            assert (await page.ask(STUDY + path))[0] == 200
        assert page.feeds is not None
        _, shown = await page.feeds.get("default", "digits")
        kept = set(shown.memo)
        assert len(kept) == 5
        for i in range(1, 40):
            for path in (f"/trials?offset={i}", f"/trials?limit={i}", f"/decisions?before={i}"):
                assert (await page.ask(STUDY + path))[0] == 200
        for path in ("/figures/curves?over=values", "/figures/curves?over=moon", "/trials/3"):
            assert (await page.ask(STUDY + path))[0] == 200
        assert set(shown.memo) == kept
