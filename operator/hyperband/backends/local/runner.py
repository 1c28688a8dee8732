"""Runs a study here, to its end or until it is interrupted: the only writer of its records.

Decide, write, act, as on a cluster: a decision is first a row, then a process. Level-triggered:
each pass looks at what is there. Killed anywhere, the next runner finds the same and goes on.
"""

import asyncio
import socket
from asyncio.subprocess import Process
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from hyperband.api import names
from hyperband.api.trial import AttemptRecord
from hyperband.backends.local import attempts, keeper, training
from hyperband.backends.local.attempts import Attempt, Ending, Launcher
from hyperband.backends.local.records import Clock, Records
from hyperband.backends.local.reports import ReportFile
from hyperband.core.decisions import Decision, Finish, Outcome
from hyperband.core.gp.proposing import Grown
from hyperband.core.records import Report, Spent, Trial, TrialState

POLL_SECONDS = 0.1  # between looks at report files
PUBLISH_SECONDS = 1.0  # between two writes of the study's status
OVERTIME_SECONDS = 30.0  # for a training to end by itself after it has done its part
INTERRUPTED = "interrupted; --resume goes on"


@dataclass(frozen=True, slots=True)
class Plan:
    """How trainings are run.

    Attributes:
        folder: of the run.
        cwd: where trainings run.
        command: program and arguments, with references.
        inherited: variables of this process.
    """

    folder: Path
    cwd: Path
    command: Sequence[str]
    inherited: dict[str, str]
    slots: training.Slots


class Runner:
    """One study's run.

    Args:
        shown: called after each pass.
    """

    def __init__(
        self, records: Records, plan: Plan, clock: Clock, shown: Callable[[], None] = lambda: None
    ) -> None:
        self._records, self._plan, self._clock, self._shown = records, plan, clock, shown
        self._engine, self._study = records.engine, records.study
        self._live: dict[int, Attempt] = {}  # by trial: at most one, until its account is closed
        self._launcher = Launcher(training.grace_seconds(records.study), plan.cwd)
        self._wake = asyncio.Event()
        self._watchers: set[asyncio.Task[None]] = set()
        self._stopping = ""  # why, once it is interrupted
        self._unwritable: Path | None = None  # where a keeper could not write
        self._published = float("-inf")
        self._grown: Grown | None = None  # what the last suggestion was made with

    def interrupt(self, why: str) -> None:
        """Ends all attempts, and then the run, which may go on later. Again: without grace."""
        again, self._stopping = bool(self._stopping), self._stopping or why
        for attempt in self._live.values():
            if again or not attempt.why:
                attempt.end(self._stopping)
        self._wake.set()

    async def run(self) -> Finish | None:
        """Works until the study is over, or all has ended after an interruption (None)."""
        try:
            await self._take_over()
            while True:
                self._wake.clear()
                finish = await self._step()
                if finish is not None or (self._stopping and not self._live):
                    interrupted = "" if finish else INTERRUPTED
                    self._records.publish(self._spent(), finish, interrupted=interrupted)
                    self._shown()
                    return finish
                self._shown()
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL_SECONDS):
                        await self._wake.wait()
        finally:
            self._launcher.close()
            for attempt in self._live.values():
                attempt.reports.close()

    # -- what earlier runners have left ------------------------------------------------------

    async def _take_over(self) -> None:
        """Waits for the end of what they have started, to be read as what ends here is."""
        left = []
        for index, resource in self._records.trials.items():
            open_, trial = resource.open_attempt, resource.trial
            numbers = {trial.attempt} if trial.state.active else set()
            left += [(index, number) for number in numbers | ({open_.number} if open_ else set())]
        await asyncio.gather(*(self._outlast(*each) for each in left))

    async def _outlast(self, index: int, number: int) -> None:
        trial = self._engine.trials[index]
        folder = self._paths(trial, number).attempt
        mark = training.run_mark(self._study.uid, index, number)
        if await attempts.outlast(folder, mark):
            begun = attempts.started(folder) or self._clock.now()
            attempt = self._attempt(trial, number, begun)
            attempt.ending = attempts.ending(folder, "", self._clock.now())
            self._live[index] = attempt

    # -- one pass ----------------------------------------------------------------------------

    async def _step(self) -> Finish | None:
        """Does all that is to be done now; the study's end, once nothing of it runs.

        Raises:
            OSError: nothing can be written any more where attempts are.
        """
        if self._unwritable is not None:
            said = f"{self._unwritable} cannot be written, as the disk is full or the folder gone"
            raise OSError(f"{said}: mend that, and go on with --resume")
        for attempt in list(self._live.values()):
            self._read(attempt)
        if self._stopping:
            self._publish()
            return None
        spent = self._records.note_budget(self._spent())
        self._end_unwanted()
        if self._engine.closing(spent) is None:
            await self._start_missing()
            await self._fill()
        finish = self._engine.finish(spent)
        for decision in list(self._engine.wind_down(spent)):
            self._records.commit(decision)
        self._end_unwanted()
        self._publish()
        return None if self._live or self._stopping else finish

    def _read(self, attempt: Attempt) -> None:
        """Takes in what has come of an attempt; its end after all that it has reported."""
        over, index = attempt.ending, attempt.index
        new = attempt.reports.read(all_of_it=over is not None)
        if self._is_current(attempt):
            if (running := self._engine.seen_running(index)) is not None:
                self._records.commit(running, attempt=self._account(attempt))
            reports = attempt.reports.reports
            decision = None if new is None else self._engine.observe(index, reports.reports)
            if decision is not None:
                self._records.commit(decision, reports)
        if over is not None:
            self._close(attempt, over)

    def _close(self, attempt: Attempt, over: Ending) -> None:
        index, reports = attempt.index, attempt.reports.reports
        outcome, detail, decision = over.outcome, over.detail, None
        if not self._is_current(attempt):
            if outcome is Outcome.DISRUPTED:
                outcome, detail = Outcome.ENDED, self._engine.trials[index].reason
        elif self._stopping and outcome is Outcome.DISRUPTED and attempt.why == self._stopping:
            outcome = Outcome.ENDED
            decision = self._engine.suspended(index, detail)
        else:
            decision = self._engine.attempt_ended(index, outcome, detail)
        account = self._account(attempt, Ending(outcome, detail, over.time))
        if decision is None:
            self._records.progress(index, reports, account)
        else:
            self._records.commit(decision, reports, account)
        attempt.reports.close()
        del self._live[index]

    def _is_current(self, attempt: Attempt) -> bool:
        """Whether it is the attempt that its trial waits for."""
        trial = self._engine.trials[attempt.index]
        return trial.state.active and trial.attempt == attempt.number

    def _end_unwanted(self) -> None:
        """Ends attempts that are not to go on. Those that have done their part may, for a while."""
        for attempt in self._live.values():
            trial, now = self._engine.trials[attempt.index], self._clock.monotonic()
            if attempt.ending is not None or attempt.why:
                continue
            if self._is_current(attempt):
                self._heed_deadline(attempt)
            elif trial.state.active or trial.state in (TrialState.PAUSED, TrialState.COMPLETED):
                attempt.overtime = attempt.overtime or now
                if now - attempt.overtime >= OVERTIME_SECONDS:
                    attempt.end("it has gone on after its last report")
            else:
                attempt.end(trial.message)

    def _heed_deadline(self, attempt: Attempt) -> None:
        limit = training.deadline_seconds(self._study)
        if limit is not None and self._seconds(attempt, self._clock.now()) >= limit:
            attempt.overran = True
            attempt.end(f"DeadlineExceeded: activeDeadlineSeconds is {limit:g}")

    # -- free slots --------------------------------------------------------------------------

    async def _start_missing(self) -> None:
        """Starts the attempts that records ask for; each waits for the one before it."""
        for trial in list(self._engine.active):
            if trial.index not in self._live and not self._stopping:
                await self._start(trial)

    async def _fill(self) -> None:
        while not self._stopping:
            decision = await self._decide()
            if decision is None or self._stopping:
                return
            self._records.commit(decision)
            if decision.trial.index not in self._live:
                await self._start(decision.trial)

    async def _decide(self) -> Decision | None:
        """What to do with a free slot. What takes its time is done in a thread."""
        engine, lingering = self._engine, self._lingering()
        if (fitting := engine.fitting(lingering)) is not None:
            engine.fitted(await asyncio.to_thread(fitting))
        if not engine.starts(lingering) or engine.searcher.quick:
            return engine.launch(lingering)
        if (proposing := engine.proposing(lingering)) is not None:
            proposal, self._grown = await asyncio.to_thread(proposing, self._grown)
            engine.proposed(proposal)
        return await asyncio.to_thread(engine.launch, lingering)

    def _lingering(self) -> int:
        """Slots held by attempts of trials that are decided."""
        trials = self._engine.trials
        return sum(not trials[index].state.active for index in self._live)

    async def _start(self, trial: Trial) -> None:
        devices = self._free_devices()
        if devices is None:
            return
        where = self._paths(trial, trial.attempt)
        where.checkpoints.mkdir(parents=True, exist_ok=True)
        uid = self._records.trials[trial.index].uid
        own = training.environment(self._study, trial, self._engine.ladder, uid, where)
        visible = {training.VISIBLE: ",".join(devices)} if devices else {}
        process = await self._launcher.start(
            where.attempt,
            [training.expand(word, own) for word in self._plan.command],
            {**self._plan.inherited, **visible, **own},
        )
        attempt = self._attempt(trial, trial.attempt, self._clock.now())
        attempt.process, attempt.devices = process, devices
        self._live[trial.index] = attempt
        watcher = asyncio.create_task(self._watch(attempt, process))
        self._watchers.add(watcher)
        watcher.add_done_callback(self._watchers.discard)
        if self._stopping:  # meanwhile
            attempt.end(self._stopping)

    def _free_devices(self) -> tuple[str, ...] | None:
        """GPUs for another trial; None if too few are free."""
        slots = self._plan.slots
        held = {device for attempt in self._live.values() for device in attempt.devices}
        free = [device for device in slots.devices if device not in held]
        return tuple(free[: slots.each]) if len(free) >= slots.each else None

    async def _watch(self, attempt: Attempt, process: Process) -> None:
        if await process.wait() == keeper.UNWRITABLE:
            self._unwritable = attempt.folder
        mark = training.run_mark(self._study.uid, attempt.index, attempt.number)
        await attempts.outlast(attempt.folder, mark)  # in case that the keeper was killed
        over = attempts.ending(attempt.folder, attempt.why, self._clock.now())
        if attempt.overran:
            over = Ending(Outcome.FAILED, attempt.why, over.time)
        attempt.ending = over
        self._wake.set()

    # -- accounts ----------------------------------------------------------------------------

    def _paths(self, trial: Trial, number: int) -> training.Paths:
        return training.paths(self._plan.folder, self._study, trial, number)

    def _attempt(self, trial: Trial, number: int, begun: datetime) -> Attempt:
        where = self._paths(trial, number)
        reports = ReportFile(where.reports, self._study.study, self._engine.ladder, trial)
        return Attempt(trial.index, number, where.attempt, begun, reports)

    def _account(self, attempt: Attempt, over: Ending | None = None) -> AttemptRecord:
        reached: Sequence[Report] = attempt.reports.reports.reports
        return AttemptRecord(
            number=attempt.number,
            pod=names.pod_name(self._study.name, attempt.index, attempt.number),
            node=socket.gethostname(),
            start_time=attempt.started,
            training_time=attempt.started,
            end_time=over.time if over else None,
            outcome=over.outcome.value if over else "",
            reason=over.detail if over else "",
            resource=reached[-1].resource if over and reached else None,
            gpu_seconds=self._seconds(attempt, over.time) * self._plan.slots.each if over else 0.0,
        )

    def _seconds(self, attempt: Attempt, until: datetime) -> float:
        return max(0.0, (until - attempt.started).total_seconds())

    def _spent(self) -> Spent:
        return self._records.spent(self._uses())

    def _uses(self) -> Iterator[tuple[int, float, float]]:
        now = self._clock.now()
        for index, attempt in self._live.items():
            reached = attempt.reports.reports.reports
            seconds = self._seconds(attempt, now) * self._plan.slots.each
            yield index, seconds, reached[-1].resource if reached else 0.0

    def _publish(self) -> None:
        if self._clock.monotonic() >= self._published + PUBLISH_SECONDS:
            self._published = self._clock.monotonic()
            self._records.publish(self._spent())
