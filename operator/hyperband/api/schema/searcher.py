"""The schema of where configurations come from: spec.searcher, initialParameters, warmStart."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from hyperband.api import names
from hyperband.api.schema.build import (
    Schema,
    cel_text,
    choice,
    immutable,
    integer,
    many,
    number,
    record,
    rule,
    table,
    text,
)
from hyperband.api.schema.parameters import ANY_VALUE, LARGEST_INTEGER, MAX_PARAMETERS
from hyperband.api.schema.study_status import MAX_EARLIER_STUDIES
from hyperband.core.gp.resources import MODELS
from hyperband.core.searchers import SEARCHERS

MAX_INITIAL: Final = 1_000
SAMPLING: Final = ("Independent", "QuasiRandom")

NO_STUDY_NAME: Final = (
    "cannot be the name of a study: write lower-case letters, digits, dashes and dots, with a "
    "letter or digit at either end"
)


@dataclass(frozen=True, slots=True)
class Option:
    """A field of spec.searcher beside type and seed.

    Attributes:
        attribute: its name in `SearcherOptions`, where the default is, too.
        read: from the value in the spec to that of the attribute.
        searcher: the one type that it is for; None: all.
    """

    schema: Schema
    attribute: str
    read: Callable[[Any], Any]
    searcher: str | None = None


OPTIONS: Final[Mapping[str, Option]] = {
    "sampling": Option(
        choice(
            "How the parameters' distributions are drawn from, which each searcher does at first. "
            "Independent, the default but with GaussianProcess. QuasiRandom, its default: by a "
            "scrambled Sobol sequence, whose points lie further from one another than independent "
            "ones do.",
            SAMPLING,
        ),
        "quasi_random",
        lambda given: given == "QuasiRandom",
    ),
    "resourceModel": Option(
        choice(
            "Of a GaussianProcess: how values at different rungs hang together. ExponentialDecay "
            "(default): learning curves decay towards what they end at. Coregionalized: each rung "
            "has a scale of its own, and neighbours are correlated. Independent: rungs tell "
            "nothing of one another.",
            list(MODELS),
        ),
        "resource_model",
        str,
        "GaussianProcess",
    ),
    "goodFraction": Option(
        number(
            "Of KernelDensity: which part of a rung's values counts as good. Default: 0.15.",
            minimum=0,
            maximum=1,
        ),
        "good_fraction",
        float,
        "KernelDensity",
    ),
    "randomFraction": Option(
        number(
            "Of KernelDensity: which part of the configurations is drawn from the parameters' "
            "distributions all the same. Default: 1/3.",
            minimum=0,
            maximum=1,
        ),
        "random_fraction",
        float,
        "KernelDensity",
    ),
    "population": Option(
        integer(
            "Of Evolution: how many trials live at a time; the oldest one dies. The first 10, "
            "or all of a smaller one, start at random. Default: a quarter of maxTrials, at least 2 "
            "and at most 40.",
            minimum=2,
            maximum=100_000,
        ),
        "population",
        int,
        "Evolution",
    ),
    "tournament": Option(
        integer(
            "Of Evolution: among how many, drawn at random, the best one is chosen as parent. "
            "Default: a quarter of the population.",
            minimum=1,
            maximum=100_000,
        ),
        "tournament",
        int,
        "Evolution",
    ),
}

# What is said of them, here and by hyperband.api.study: with %s for the values.
NO_FRACTION: Final = "%s leaves none good, or none bad: give a fraction between 0 and 1"
LARGE_TOURNAMENT: Final = "%s is more than the population of %s: lower it, or raise population"


def of_another(searcher: str) -> str:
    """Of an option that is for this searcher, where the type is %s."""
    return f"is a setting of {searcher}, not of %s: leave it out, or take that searcher"


def _only(option: str, searcher: str) -> Schema:
    return rule(
        f"!has(self.{option}) || self.type == '{searcher}'",
        of_another(searcher),
        "self.type",
        field=f".{option}",
    )


GOOD_FRACTION: Final = rule(
    "!has(self.goodFraction) || (self.goodFraction > 0.0 && self.goodFraction < 1.0)",
    NO_FRACTION,
    "self.goodFraction",
    field=".goodFraction",
)

TOURNAMENT: Final = rule(
    "!has(self.tournament) || !has(self.population) || self.tournament <= self.population",
    LARGE_TOURNAMENT,
    "self.tournament",
    "self.population",
    field=".tournament",
)

SEARCHER: Final = record(
    "Where new configurations come from. Does not change once the study exists.",
    {
        "type": choice(
            "Random (default): drawn from the parameters' distributions, whatever the trials have "
            "shown; for a baseline, and where nearly all trials run at once. KernelDensity: drawn "
            "around good trials, by the densities of good and of bad ones (BOHB); quick with any "
            "number of trials. Evolution: mutations of good trials, while old ones die out "
            "(regularized evolution); for architectures and other large discrete spaces, with many "
            "trials. "
            "GaussianProcess: the largest expected improvement under a model over configuration "
            "and resource, running trials included (A-BOHB; Bayesian optimization with hyperband "
            "mode None); the fewest trials for a good result, where a trial takes longer than the "
            "second or so that a suggestion may.",
            list(SEARCHERS),
            default="Random",
        ),
        "seed": integer(
            "Seed of everything random in the study: the same spec with the same seed suggests "
            "the same configurations. Unset: derived from the study's uid; status.seed shows it.",
            minimum=0,
            maximum=LARGEST_INTEGER,
        ),
        **{name: option.schema for name, option in OPTIONS.items()},
    },
    default={"type": "Random"},
    rules=[
        immutable("searcher"),
        *(_only(name, each.searcher) for name, each in OPTIONS.items() if each.searcher),
        GOOD_FRACTION,
        TOURNAMENT,
    ],
)

INITIAL_PARAMETERS: Final = many(
    "Configurations to try first, in this order, such as the ones you would have tried by hand. "
    "What one leaves out is sampled; a value whose parameter turns out inactive is not used. They "
    "count in maxTrials. Does not change once the study exists.",
    table(
        "Values by the names of parameters, as in {learning_rate: 0.01, layers: 2}.",
        ANY_VALUE,
        maxProperties=MAX_PARAMETERS,
    ),
    maxItems=MAX_INITIAL,
)

WARM_START: Final = record(
    "Begins with what earlier studies have shown: the best configuration of each is tried again, "
    "after initialParameters, and all their values teach the searcher (Random learns from none). "
    "Does not change once the study exists.",
    {
        "fromStudies": many(
            "Names of studies in the same namespace, with the same metric, goal and resource. This "
            "study starts when all of them are finished. Trials with values that spec.parameters "
            "does not allow, or without a value that it asks for, are left out; parameters that "
            "only the earlier study has are passed over.",
            text(
                "Name of a HyperbandStudy.",
                minLength=1,
                maxLength=names.MAX_STUDY_NAME,
                rules=[
                    # A rule and no pattern: the server says nothing but the pattern itself.
                    rule(
                        f"self.matches({cel_text(names.NAME_PATTERN)})",
                        f"%s {NO_STUDY_NAME}",
                        "self",
                    )
                ],
            ),
            unique=True,
            minItems=1,
            maxItems=MAX_EARLIER_STUDIES,
        )
    },
    required=("fromStudies",),
)
