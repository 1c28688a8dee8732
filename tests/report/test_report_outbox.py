"""When the newest state is sent, without a clock."""

from hyperband.report._outbox import Delivered, Failed, Outbox, Refused


def outbox(jitter: float = 1.0) -> Outbox:
    return Outbox(interval=10, jitter=lambda: jitter)


def test_nothing_to_send() -> None:
    assert outbox().delay(0) is None
    assert outbox().delivered and outbox().settled


def test_ordinary_states_wait_for_the_interval_and_urgent_ones_do_not() -> None:
    box = outbox()
    box.offer(urgent=False)
    assert box.delay(100) == 0
    box.record(box.take(100), Delivered(), 101)
    assert box.delay(101) is None and box.delivered
    box.offer(urgent=False)
    box.offer(urgent=False)
    assert box.delay(103) == 7
    box.offer(urgent=True)
    assert box.delay(103) == 0
    box.record(box.take(103), Delivered(), 104)
    assert box.settled
    box.offer(urgent=False)
    assert box.delay(104) == 9


def test_a_state_offered_while_another_is_sent_is_sent_too() -> None:
    box = outbox()
    box.offer(urgent=True)
    state = box.take(0)
    box.offer(urgent=True)
    box.record(state, Delivered(), 1)
    assert not box.delivered and box.delay(1) == 0


def test_failures_back_off_up_to_a_limit_with_jitter() -> None:
    box = outbox()
    box.offer(urgent=True)
    waits = []
    for now in range(0, 2000, 100):
        box.record(box.take(now), Failed("away"), now)
        waits.append(box.delay(now))
    assert waits[:7] == [0.5, 1, 2, 4, 8, 16, 30] and set(waits[7:]) == {30}
    box.hurry()
    assert box.delay(1900) == 30  # nobody may hammer a server that is in trouble
    box.record(box.take(2000), Delivered(), 2000)
    box.offer(urgent=True)
    assert box.delay(2000) == 0

    early = outbox(jitter=0.0)
    early.offer(urgent=True)
    early.record(early.take(0), Failed("away"), 0)
    assert early.delay(0) == 0.25


def test_retry_after_is_honoured() -> None:
    box = outbox()
    box.offer(urgent=True)
    box.record(box.take(0), Failed("too many requests", 7), 0)
    assert box.delay(0) == 7
    box.record(box.take(7), Failed("too many requests", 1e9), 7)
    assert box.delay(7) == 300


def test_a_refused_state_is_not_sent_again_but_the_next_one_is_and_a_flush_tries_once() -> None:
    box = outbox()
    box.offer(urgent=True)
    box.record(box.take(0), Refused("403"), 0)
    assert box.delay(1000) is None and box.settled and not box.delivered
    box.hurry()
    assert box.delay(0) == 0
    box.record(box.take(0), Refused("403"), 0)
    assert box.settled
    box.offer(urgent=True)
    assert box.delay(0) == 0
    box.record(box.take(0), Delivered(), 0)
    assert box.delivered
