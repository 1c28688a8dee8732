"""`hyperband preview FILE`: the rungs of a study, how many trials reach each, what that takes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import inf
from typing import Annotated, Any

import typer
from rich.console import Console, Group, RenderableType
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from hyperband.api.files import only_study
from hyperband.api.study import StudyResource, parse_study
from hyperband.api.words import counted
from hyperband.backends.simulator.expectation import Range, Run, Rung, rungs, simulate_run
from hyperband.cli.output import Output, OutputOption, write
from hyperband.cli.simulate import BadOptionError, parse_seeds
from hyperband.cli.validate import content_of
from hyperband.core.budgets import HOUR
from hyperband.core.errors import InvalidStudyError, printable
from hyperband.core.records import Study

# Runs by default: those of few trials differ much and take no time, with many it is the reverse.
FEWEST, MOST, TRIALS_IN_ALL = 3, 21, 5_000
BAR = 30  # characters


@dataclass(frozen=True, slots=True)
class Preview:
    """What is shown of a study."""

    resource: StudyResource
    seeds: Sequence[int]
    unit_seconds: float | None
    runs: Sequence[Run]

    @property
    def study(self) -> Study:
        return self.resource.study

    def of(self, numbers: Iterator[float]) -> Range:
        """The range of a number of each run."""
        return Range.of(list(numbers))

    @property
    def totals(self) -> Mapping[str, Range]:
        """What the whole study takes, by name as JSON has it."""
        runs, gpus = self.runs, self.resource.gpus
        found = {
            "trials": self.of(run.trials for run in runs),
            "completed": self.of(run.completed for run in runs),
            "resourceUnits": self.of(run.resource_units for run in runs),
        }
        if self.unit_seconds is not None:
            hours = self.unit_seconds / HOUR
            found["gpuHours"] = self.of(run.resource_units * hours * gpus for run in runs)
            found["hours"] = self.of(run.seconds / HOUR for run in runs)
        return found

    @property
    def full(self) -> float:
        """The resource that all trials would take if each was trained in full."""
        return self.study.max_trials * self.study.resource.max

    @property
    def left_out(self) -> list[str]:
        """Fields of the study that the simulation cannot judge, and why."""
        study, found = self.study, []
        if study.targets:
            found.append("earlyStopping: the study may end sooner, when a target is reached")
        if self.unit_seconds is None:
            bounds = {"gpuHours": study.budget.gpu_seconds, "duration": study.budget.seconds}
            found += [
                f"budget.{name}: tell with --unit-seconds how long one of {study.resource.name} "
                "takes"
                for name, bound in bounds.items()
                if bound is not None
            ]
        return found


def preview(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="YAML with a HyperbandStudy; - is standard input.")
    ],
    unit_seconds: Annotated[
        float | None,
        typer.Option(help="How long a unit of the resource takes: gives hours and GPU-hours."),
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option(
            metavar="A-B", help="One simulated run a seed; default: 0-20, or fewer if long."
        ),
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show brackets and rungs, how many trials reach each, and what the study takes in all.

    The numbers are those of a simulation with the operator's own decisions, random configurations
    and synthetic learning curves. They depend on the mode much, and on the curves little.

    Exits with 0, with 1 if the study is invalid, with 2 if an option or the file is wrong.
    """
    try:
        if unit_seconds is not None and not 0 < unit_seconds < inf:
            raise BadOptionError(f"--unit-seconds {unit_seconds:g}: give a number above 0")
        resource = parse_study(only_study(content_of(file), printable(file)))
        count = min(max(FEWEST, TRIALS_IN_ALL // resource.study.max_trials), MOST)
        chosen = parse_seeds(seeds or f"0-{count - 1}", 0)
    except OSError as error:
        told = f"{printable(file)}: {error.strerror}: name the file of a study"
        raise _ended(told, 2) from error
    except BadOptionError as error:
        raise _ended(str(error), 2) from error
    except InvalidStudyError as error:
        mend = f"\nAll that is wrong with it: hyperband validate {printable(file)}"
        raise _ended(f"{error}{mend}", 1) from error
    made = Preview(resource, chosen, unit_seconds, list(_runs(resource, chosen, unit_seconds)))
    if output is Output.TABLE:
        Console(highlight=False).print(drawn(made))
    else:
        write(plain(made), output)


def _ended(told: str, code: int) -> typer.Exit:
    typer.echo(f"hyperband preview: {told}", err=True)
    return typer.Exit(code)


def _runs(
    resource: StudyResource, seeds: Sequence[int], unit_seconds: float | None
) -> Iterator[Run]:
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        for seed in progress.track(seeds, description="simulating"):
            yield simulate_run(resource.study, seed, gpus=resource.gpus, unit_seconds=unit_seconds)


def plain(made: Preview) -> dict[str, Any]:
    """The preview as plain data."""
    study = made.study
    brackets: dict[int, list[dict[str, Any]]] = {}
    for rung in rungs(study, made.runs):
        row: dict[str, Any] = {"resource": rung.resource, "trials": asdict(rung.trials)}
        if rung.size is not None:
            row["size"] = rung.size
        brackets.setdefault(rung.bracket, []).append(row)
    return {
        "study": study.name,
        "mode": study.mode,
        "eta": study.eta,
        "resource": study.resource.name,
        "gpus": made.resource.gpus,
        "unitSeconds": made.unit_seconds,
        "seeds": list(made.seeds),
        "brackets": [{"bracket": s, "rungs": rows} for s, rows in brackets.items()],
        "expected": {name: asdict(each) for name, each in made.totals.items()},
        "inFull": made.full,
        "leftOut": made.left_out,
    }


def drawn(made: Preview) -> RenderableType:
    """The preview as a person sees it: what it is, its ladder, what it takes."""
    study, gpus = made.study, made.resource.gpus
    each = f", {counted(gpus, 'GPU')} each" if gpus else ", without GPUs"
    mode = f"mode {study.mode}" + (f", eta {study.eta:g}" if study.stops_early else "")
    what = (
        f"{study.name}: {mode}, up to {study.max_trials:,} trials, {study.parallelism:,} at a "
        f"time{each}"
    )
    count = len(made.seeds)
    told = f"Simulated {count} times" if count > 1 else "Simulated once"
    told += " with random configurations"
    told += "; the middle of the runs, and their range where they differ." if count > 1 else "."
    notes = [Text(f"Left out: {note}.") for note in made.left_out]
    return Group(
        Text(printable(what)),
        Text(),
        _ladder(made),
        Text(),
        _totals(made),
        *notes,
        *_hint(made),
        Text(told, style="dim"),
    )


def _ladder(made: Preview) -> Table:
    study, rows = made.study, list(rungs(made.study, made.runs))
    brackets, sized = study.brackets > 1, any(rung.size is not None for rung in rows)
    most = max(rung.trials.high for rung in rows) or 1
    table = Table(box=None, pad_edge=False)
    columns = ["bracket"] if brackets else []
    columns += [printable(study.resource.name), "trials"]
    columns += ["range"] if any(_range(rung.trials) for rung in rows) else []
    columns += ["of one bracket"] if sized else []
    for column in columns:
        table.add_column(Text(column), justify="right", no_wrap=True)
    table.add_column("")
    last = None
    for rung in rows:
        cells = [str(rung.bracket) if rung.bracket != last else ""] if brackets else []
        cells += [f"{rung.resource:g}", _number(rung.trials.middle)]
        cells += [_range(rung.trials)] if "range" in columns else []
        cells += [str(rung.size)] if sized else []
        table.add_row(*cells, _bar(rung, most))
        last = rung.bracket
    return table


def _bar(rung: Rung, most: float) -> Text:
    """As long as there are trials; any at all show."""
    length = max(round(BAR * rung.trials.middle / most), 1 if rung.trials.middle else 0)
    return Text("█" * length, style="cyan")


def _totals(made: Preview) -> Table:
    study = made.study
    labels = {
        "trials": "trials",
        "completed": "trained in full",
        "resourceUnits": f"{study.resource.name} trained",
        "gpuHours": "GPU-hours",
        "hours": "hours from start to end",
    }
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    for _ in range(2):
        table.add_column(justify="right", no_wrap=True)
    table.add_column()
    for name, found in made.totals.items():
        share = ""
        if name == "resourceUnits":
            share = f"{found.middle / made.full:.0%} of {_number(made.full)}, all trials in full"
        label = Text(printable(labels[name]))
        table.add_row(label, _number(found.middle), _range(found), share)
    return table


def _hint(made: Preview) -> list[Text]:
    if made.unit_seconds is not None:
        return []
    what = "Hours and GPU-hours" if made.resource.gpus else "Hours"
    return [
        Text(
            printable(f"{what}: with --unit-seconds, what one of {made.study.resource.name} takes.")
        )
    ]


def _number(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 or number == int(number) else f"{number:.3g}"


def _range(found: Range) -> str:
    low, high = _number(found.low), _number(found.high)
    return "" if low == high else f"{low} to {high}"
