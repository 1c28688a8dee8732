"""The pictures of the documentation: `python -m hack.generate` writes them to docs/pictures."""

from collections.abc import Iterator
from typing import Final

from hack.docs.drawing import arrow, bar, box, picture, upright, words
from hyperband.core.brackets import rung_sizes, start_size

ETA: Final = 3
RESOURCES: Final = (1, 3, 9, 27)  # epochs


def pictures() -> dict[str, str]:
    """Path and text of each."""
    drawn = {"rungs": rungs, "brackets": brackets, "decisions": decisions, "trial": trial}
    return {f"docs/pictures/{name}.svg": draw() for name, draw in drawn.items()}


def rungs() -> str:
    """27 trials over epochs, of which the best third goes on at each rung."""
    left, top, step, height = 40, 62, 9, 6
    across = 170  # between two rungs

    def parts() -> Iterator[str]:
        yield words(left, 28, "27 trials; at each rung the best third goes on", "strong")
        bottom = top + 27 * step
        for i, (resource, count) in enumerate(zip(RESOURCES, (27, 9, 3, 1), strict=True)):
            x = left + (i + 1) * across
            yield upright(x, top - 8, bottom + 4)
            unit = "epoch" if resource == 1 else "epochs"
            yield words(x, bottom + 22, f"{resource} {unit}", "small", "end")
            yield words(x, top - 14, f"{count} value{'' if count == 1 else 's'}", "small", "end")
        for place in range(27):
            last = 3 if place < 1 else 2 if place < 3 else 1 if place < 9 else 0
            kind = ("off", "off", "off", "good")[last]
            y = top + place * step
            if last:
                yield bar(left, y, last * across, height, "on")
            yield bar(left + last * across, y, across - 1, height, kind)
        y = bottom + 44
        for x, kind, told in (
            (left, "on", "went on"),
            (left + 130, "off", "stopped, or paused for good"),
            (left + 380, "good", "trained in full"),
        ):
            yield bar(x, y - 9, 18, 9, kind)
            yield words(x + 26, y, told, "small")

    return picture(760, 370, "Trials at rungs: of 27, 9 go on, then 3, then 1", parts())


def brackets() -> str:
    """Where the brackets of a ladder of four rungs begin, and how many trials reach each rung."""
    left, top, row, across = 150, 70, 66, 150

    def parts() -> Iterator[str]:
        yield words(
            30, 30, "Four brackets: each starts with fewer trials, one rung higher", "strong"
        )
        levels = len(RESOURCES)
        bottom = top + levels * row
        for i, resource in enumerate(RESOURCES):
            x = left + i * across + 60
            yield upright(x, top - 8, bottom)
            unit = "epoch" if resource == 1 else "epochs"
            yield words(x, bottom + 20, f"{resource} {unit}", "small", "middle")
        for place, bracket in enumerate(reversed(range(levels))):
            y = top + place * row
            yield words(30, y + 26, f"bracket {bracket}")
            sizes = rung_sizes(start_size(levels, bracket, ETA), bracket + 1, ETA)
            first = levels - len(sizes)
            for i, count in enumerate(sizes):
                x = left + (first + i) * across + 60
                half = 10 + 1.6 * count
                yield bar(x - half, y + 8, 2 * half, 26, "good" if first + i == 3 else "on")
                yield words(x, y + 50, str(count), "small", "middle")

    return picture(760, 380, "Brackets: how many trials begin where, and go on", parts())


def decisions() -> str:
    """The way of a report through the operator, and back to the pods."""

    def parts() -> Iterator[str]:
        yield words(30, 30, "Decide, write, act: nothing is done that is not written", "strong")
        yield box(30, 70, 150, 70, "pod", "trains, and reports", "into its annotation")
        yield box(230, 70, 150, 70, "decide", "rank at the rung,", "budget, next trial")
        yield box(430, 70, 150, 70, "write", "into the trial's record,", "with the reason")
        yield box(430, 210, 150, 70, "act", "make pods match", "the records")
        yield box(230, 210, 150, 70, "tell", "status, events,", "metrics")
        yield arrow((180, 105), (228, 105))
        yield arrow((380, 105), (428, 105))
        yield arrow((505, 140), (505, 208))
        yield arrow((430, 245), (382, 245))
        yield arrow((505, 280), (505, 312), (105, 312), (105, 142))
        yield words(305, 306, "start, end or leave a pod", "small", "middle")
        yield words(640, 84, "etcd", "strong")
        yield words(600, 104, "Killed at any point,", "small")
        yield words(600, 121, "the next process", "small")
        yield words(600, 138, "goes on from here.", "small")

    return picture(760, 330, "A report, the decision on it, its record, and what is done", parts())


def trial() -> str:
    """The states of a trial, and what leads from one to the next."""

    def parts() -> Iterator[str]:
        yield words(30, 30, "A trial's life", "strong")
        yield box(30, 110, 130, 56, "Pending", "an attempt is due")
        yield box(250, 110, 130, 56, "Running", "its pod trains")
        yield box(250, 240, 130, 56, "Paused", "no pod, no GPU")
        yield box(590, 40, 140, 56, "Completed", "trained in full")
        yield box(590, 125, 140, 56, "Stopped", "not good enough")
        yield box(590, 210, 140, 56, "Failed", "retries used up")
        yield arrow((160, 130), (248, 130))
        yield words(204, 122, "pod starts", "small", "middle")
        yield arrow((250, 152), (162, 152))
        yield words(204, 178, "pod lost, or failed:", "small", "middle")
        yield words(204, 194, "once more", "small", "middle")
        yield arrow((315, 166), (315, 238))
        yield words(325, 216, "at a rung", "small")
        yield arrow((250, 268), (95, 268), (95, 168))
        yield words(168, 286, "promoted: goes on from", "small", "middle")
        yield words(168, 302, "its checkpoint", "small", "middle")
        yield arrow((380, 124), (480, 124), (480, 68), (588, 68))
        yield words(486, 60, "at resource.max", "small")
        yield arrow((380, 146), (588, 146))
        yield words(490, 138, "mode Stopping", "small")
        yield arrow((380, 157), (480, 157), (480, 238), (588, 238))

    return picture(760, 325, "The states of a trial", parts())
