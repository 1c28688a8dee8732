"""The schema of `spec.parameters`: the search space.

What a rule of the definition can see is refused here; `values`, `value` and `when` hold values of
any type, which such rules cannot see: `policies.py` has the rest.
"""

from typing import Final

from hyperband.api.schema.build import (
    Schema,
    anything,
    choice,
    many,
    number,
    record,
    rule,
    table,
    text,
)
from hyperband.core.parameters import Distribution, Scale

TYPES: Final = ("Float", "Integer", "Categorical", "Ordinal", "Constant")

MAX_PARAMETERS: Final = 200
MAX_VALUES: Final = 256
MAX_PARENTS: Final = 10
NAME_PATTERN: Final = r"^[A-Za-z_][A-Za-z0-9_./-]*$"
LARGEST_INTEGER: Final = 2**53 - 1  # beyond it, JSON numbers lose digits

NUMERIC: Final = "self.type in ['Float', 'Integer']"
BELL: Final = "self.distribution in ['Normal', 'LogNormal']"
NUMERIC_FIELDS: Final = ("min", "max", "mean", "deviation", "step", "scale", "distribution")


UNIFORM: Final = f"{NUMERIC} && !(has(self.distribution) && {BELL})"


def _only_numeric(name: str) -> Schema:
    return rule(
        f"!has(self.{name}) || {NUMERIC}",
        "means nothing to type %s: leave it out, or use type Float or Integer",
        "self.type",
        field=f".{name}",
    )


def _whole(name: str) -> Schema:
    return rule(
        f"self.type != 'Integer' || !has(self.{name}) || "
        f"(self.{name} >= -{LARGEST_INTEGER}.0 && self.{name} <= {LARGEST_INTEGER}.0 && "
        f"double(int(self.{name})) == self.{name})",
        "%s is not an integer: round it or make the parameter a Float",
        f"self.{name}",
        field=f".{name}",
    )


def _uniform_needs(name: str) -> Schema:
    return rule(
        f"!({UNIFORM}) || has(self.{name})",
        "is missing: a Uniform %s needs min and max",
        "self.type",
        field=f".{name}",
    )


def _bell_needs(name: str) -> Schema:
    return rule(
        f"!has(self.distribution) || !({BELL}) || has(self.{name})",
        "is missing: a %s distribution needs mean and deviation",
        "self.distribution",
        field=f".{name}",
    )


def _only_bell(name: str) -> Schema:
    return rule(
        f"!({UNIFORM}) || !has(self.{name})",
        "%s means nothing to a Uniform distribution: leave it out or set distribution to Normal "
        "or LogNormal",
        f"self.{name}",
        field=f".{name}",
    )


# The wording is that of hyperband.core.parameter_checks, which judges again in the operator.
RULES: Final = (
    *(_only_numeric(name) for name in NUMERIC_FIELDS),
    _uniform_needs("min"),
    _uniform_needs("max"),
    _bell_needs("mean"),
    _bell_needs("deviation"),
    _only_bell("mean"),
    _only_bell("deviation"),
    rule(
        "!has(self.min) || !has(self.max) || self.min != self.max",
        "%s is also max: give a smaller min, or use a Constant of this value",
        "self.min",
        field=".min",
    ),
    rule(
        "!has(self.min) || !has(self.max) || self.min <= self.max",
        "%s is above max %s: exchange the two",
        "self.min",
        "self.max",
        field=".min",
    ),
    rule(
        "!has(self.scale) || self.scale != 'Log' || !has(self.distribution) || "
        "self.distribution == 'Uniform'",
        "Log does not go with a %s distribution: use distribution LogNormal with scale Linear",
        "self.distribution",
        field=".scale",
    ),
    rule(
        "!has(self.scale) || self.scale != 'Log' || !has(self.min) || self.min > 0.0",
        "%s has no logarithm: with scale Log give a min above 0, or use scale Linear",
        "self.min",
        field=".min",
    ),
    rule(
        "!has(self.scale) || self.scale != 'Log' || !has(self.step)",
        "%s does not go with scale Log, as steps are equal on the linear scale: leave it out, "
        "use scale Linear, or an Ordinal of the values",
        "self.step",
        field=".step",
    ),
    rule(
        "!has(self.distribution) || self.distribution != 'LogNormal' || !has(self.min) || "
        "self.min >= 0.0",
        "%s is below 0 as no LogNormal value is: give 0 or more",
        "self.min",
        field=".min",
    ),
    rule(
        "!has(self.distribution) || self.distribution != 'LogNormal' || !has(self.max) || "
        "self.max > 0.0",
        "%s is not above 0 as a LogNormal value is: give a larger one",
        "self.max",
        field=".max",
    ),
    rule(
        f"!({NUMERIC}) || !has(self.step) || has(self.min)",
        "is missing: steps of %s are counted from min",
        "self.step",
        field=".min",
    ),
    # Decimal steps are compared exactly by the operator; here a rounding error is forgiven.
    rule(
        "!has(self.step) || !has(self.min) || !has(self.max) || self.min >= self.max || "
        "self.step <= (self.max - self.min) * 1.000001",
        "%s is larger than the range from %s to %s: give a smaller step",
        "self.step",
        "self.min",
        "self.max",
        field=".step",
    ),
    _whole("min"),
    _whole("max"),
    _whole("step"),
    rule(
        "!has(self.weights) || self.type in ['Categorical', 'Ordinal']",
        "means nothing to type %s: leave it out, or use type Categorical or Ordinal",
        "self.type",
        field=".weights",
    ),
    rule(
        "!has(self.weights) || self.weights.exists(w, w > 0.0)",
        "all weights are 0: give at least one value a positive weight",
        field=".weights",
    ),
)

ANY_VALUE: Final = anything("A string, number or boolean.")

PARAMETER: Final = record(
    "One hyperparameter. The training container finds its value in the environment variable "
    "HYPERBAND_PARAM_<NAME> (upper case; dots, dashes and slashes become underscores) and in the "
    "JSON object HYPERBAND_PARAMETERS.",
    {
        "name": text(
            "Name of the parameter: a letter or underscore, then letters, digits, and any of "
            "`_ . / -`. Two names must not become the same environment variable.",
            maxLength=63,
            minLength=1,
            pattern=NAME_PATTERN,
        ),
        "type": choice(
            "What kind of values it takes. Float and Integer: numbers from `min` to `max`. "
            "Categorical: one of `values`, which have no order. Ordinal: one of `values`, listed "
            "in their order (neighbours are alike: batch sizes 32, 64, 128). Constant: always "
            "`value`.",
            TYPES,
        ),
        "min": number("Smallest value of a Float or Integer, itself included."),
        "max": number("Largest value of a Float or Integer, itself included."),
        "scale": choice(
            "How a Float or Integer is spread between `min` and `max`. Linear (default): equal "
            "differences are equally likely. Log: equal ratios are, as suits learning rates; "
            "`min` must be above 0.",
            [scale.value for scale in Scale],
        ),
        "distribution": choice(
            "What a Float or Integer is drawn from. Uniform (default): any value from `min` to "
            "`max` alike, on the given scale. Normal: a bell curve with `mean` and `deviation`, "
            "cut off at `min` and `max` where they are given, and at 4 deviations. LogNormal: the "
            "same for the natural logarithm of the value.",
            [distribution.value for distribution in Distribution],
        ),
        "mean": number(
            "Centre of the bell curve: of the value itself with distribution Normal, of its "
            "natural logarithm with LogNormal."
        ),
        "deviation": number(
            "Standard deviation of the bell curve, above 0; of the natural logarithm with "
            "distribution LogNormal.",
            minimum=0,
            exclusiveMinimum=True,
        ),
        "step": number(
            "Distance between the values of a Float or Integer, counted from `min` on the linear "
            "scale: min 0, max 0.6, step 0.1 gives 0, 0.1, … 0.6.",
            minimum=0,
            exclusiveMinimum=True,
        ),
        "values": many(
            "What a Categorical or Ordinal may be: strings, numbers or booleans, each once. "
            "Quote what YAML would read otherwise: 'off', '1e3'.",
            ANY_VALUE,
            unique=True,
            minItems=1,
            maxItems=MAX_VALUES,
        ),
        "weights": many(
            "How likely each of `values` is, in the same order. They need not "
            "add up to 1. Without weights all are alike.",
            number("Weight of one value, 0 or more.", minimum=0),
            minItems=1,
            maxItems=MAX_VALUES,
        ),
        "value": anything("The value of a Constant: a string, number or boolean."),
        "when": table(
            "Makes the parameter conditional: it is active only while each parameter named here "
            "is active and has one of the values listed for it, as in `when: {layers: [2, 3]}`. "
            "An inactive parameter is not given to the container. Parents are Categorical, "
            "Ordinal, Integer or Constant.",
            many(
                "The parent's values under which this parameter is active.",
                ANY_VALUE,
                minItems=1,
                maxItems=MAX_VALUES,
            ),
            minProperties=1,
            maxProperties=MAX_PARENTS,
        ),
    },
    required=("name", "type"),
    rules=RULES,
)

PARAMETERS: Final = many(
    "The search space: what may be tuned, and within which bounds. It does not change once the "
    "study exists.",
    PARAMETER,
    key="name",
    minItems=1,
    maxItems=MAX_PARAMETERS,
)
