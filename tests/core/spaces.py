"""Spaces of every sort, on which each searcher is tried."""

from hyperband.core.space import (
    Categorical,
    Constant,
    Distribution,
    Float,
    Integer,
    Ordinal,
    Scale,
    Space,
)

MIXED = Space(
    (
        Float("rate", 1e-5, 1e-1, scale=Scale.LOG),
        Categorical("optimizer", ("sgd", "adam", "lamb"), weights=(3, 2, 0)),
        Integer("layers", 1, 4),
        Ordinal("size", ("s", "m", "l")),
        Constant("epsilon", 1e-8),
    )
)
CONDITIONAL = Space(
    (
        Float("dropout", 0.0, 0.6, step=0.1, when={"layers": (2, 3, 4)}),
        Integer("layers", 1, 4),
        Categorical("optimizer", ("sgd", "adam")),
        Float("momentum", 0, 1, when={"optimizer": ("sgd",)}),
        Categorical("nesterov", (True, False), when={"optimizer": ("sgd",)}),
        Float(
            "decay",
            mean=0,
            deviation=1,
            distribution=Distribution.NORMAL,
            when={"nesterov": (True,)},
        ),
    )
)
ONLY_CONSTANTS = Space((Constant("a", 1), Constant("b", "x")))
FEW = Space((Categorical("a", (1, True, "1")), Ordinal("b", (8, 16)), Integer("c", 1, 2)))  # 12
SPACES = {
    "mixed": MIXED,
    "conditional": CONDITIONAL,
    "categorical": Space(tuple(Categorical(f"edge{i}", ("a", "b", "c")) for i in range(8))),
    "60 dimensions": Space(tuple(Float(f"x{i}", 0, 1) for i in range(60))),
    "only constants": ONLY_CONSTANTS,
    "few": FEW,
}
