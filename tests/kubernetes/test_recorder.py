"""Events: one for each reason, whatever happens how often, and whoever writes it."""

from datetime import datetime, timedelta
from typing import Any

from hyperband.backends.kubernetes.api_errors import AlreadyExists, Forbidden
from hyperband.backends.kubernetes.recorder import MAX_MESSAGE, QUIET_SECONDS, Recorder, Subject
from tests.kubernetes.fake_cluster import NAMESPACE, START, Body, FakeClient, World

SUBJECT = Subject(NAMESPACE, "s", "uid-1")


class Troubled(FakeClient):
    """A server that may refuse to create an event, or whose answer to that gets lost."""

    def __init__(self) -> None:
        super().__init__()
        self.refuses = self.loses = False

    async def create(self, *arguments: Any, **more: Any) -> Any:
        if self.refuses:
            raise Forbidden(403, "Forbidden")
        created = await super().create(*arguments, **more)
        if self.loses:
            raise AlreadyExists(409, "AlreadyExists")  # to the client's own second try
        return created


class Place:
    """A server, a clock, and recorders one after the other."""

    def __init__(self) -> None:
        self.client = Troubled()
        self.seconds = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def recorder(self, subject: Subject = SUBJECT) -> Recorder:
        self.seconds += 1.0
        return Recorder(self.client, subject, self.now, lambda: self.seconds)  # type: ignore[arg-type]

    @property
    def events(self) -> list[Body]:
        return self.client.events()


async def test_ten_thousand_decisions_are_few_events_and_few_writes() -> None:
    place = Place()
    recorder, writes = place.recorder(), 0
    reasons = ("NewConfiguration", "RungReached", "Promoted", "NotGoodEnough", "Disrupted")
    for number in range(10_000):
        recorder.note(reasons[number % 5], f"trial {number}", warning=number % 5 == 4)
        place.seconds += 0.01  # 100 decisions a second
        before = place.client.revision
        await recorder.flush()
        writes += place.client.revision - before
    await recorder.flush(last=True)
    assert {event["reason"]: event["count"] for event in place.events} == dict.fromkeys(
        reasons, 2000
    )
    assert writes <= 5 * (10_000 * 0.01 / QUIET_SECONDS + 1)
    assert place.events[-1]["message"] == "trial 9999"
    assert [e["type"] for e in place.events] == ["Normal"] * 4 + ["Warning"]


async def test_a_new_process_counts_on_in_the_same_event() -> None:
    place = Place()
    for process in range(5):
        recorder = place.recorder()
        for _ in range(3):
            recorder.note("Promoted", f"of process {process}")
        await recorder.flush()
    (event,) = place.events
    assert event["count"] == 15
    assert event["message"] == "of process 4"
    assert event["firstTimestamp"] < event["lastTimestamp"]


async def test_a_create_whose_answer_was_lost_is_counted_once() -> None:
    place = Place()
    recorder = place.recorder()
    place.client.loses = True
    recorder.note("Promoted", "once")
    await recorder.flush()
    recorder.note("Promoted", "twice")
    place.seconds += QUIET_SECONDS
    await recorder.flush()
    (event,) = place.events
    assert (event["count"], event["message"]) == (2, "twice")


async def test_a_study_made_anew_has_events_of_its_own() -> None:
    place = Place()
    for uid in ("uid-1", "uid-2"):
        recorder = place.recorder(Subject(NAMESPACE, "s", uid))
        recorder.note("Promoted", uid)
        await recorder.flush()
    assert [event["involvedObject"]["uid"] for event in place.events] == ["uid-1", "uid-2"]
    assert [event["count"] for event in place.events] == [1, 1]


async def test_an_event_that_the_server_has_forgotten_comes_back_with_its_count() -> None:
    place = Place()
    recorder = place.recorder()
    recorder.note("Promoted", "early")
    await recorder.flush()
    place.client.objects.clear()
    place.seconds += QUIET_SECONDS
    recorder.note("Promoted", "late")
    await recorder.flush()
    (event,) = place.events
    assert event["count"] == 2


async def test_what_cannot_be_written_is_let_go() -> None:
    place = Place()
    recorder = place.recorder()
    place.client.refuses = True
    recorder.note("Promoted", "x" * 5000)
    assert await recorder.flush() is None
    place.client.refuses = False
    place.seconds += QUIET_SECONDS
    recorder.note("Promoted", "\ud800" + "x" * 5000)
    await recorder.flush()
    (event,) = place.events
    assert event["count"] == 2
    assert len(event["message"]) < MAX_MESSAGE + 10


async def test_an_operator_that_is_killed_often_leaves_one_event_a_reason() -> None:
    world = World()
    for _ in range(6):
        await world.step()
        world.live()
        world.start()
    await world.run()
    reasons = [event["reason"] for event in world.client.events()]
    assert len(reasons) == len(set(reasons)) > 3
