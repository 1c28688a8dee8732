"""How good the configurations are that a searcher comes to, in simulated studies."""

from functools import cache

import numpy as np
import numpy.typing as npt

from hyperband.backends.simulator.curves import AnalyticCurves
from hyperband.backends.simulator.simulation import Simulation
from hyperband.core.records import Objective, Resource, Study
from hyperband.core.seeds import generator
from hyperband.core.space import Float, Integer, Ordinal, Scale, Space

STUDIES, TRIALS = 20, 80
SPACE = Space(
    (
        Float("rate", 1e-5, 1e-1, scale=Scale.LOG),
        Float("momentum", 0, 1),
        Integer("width", 16, 512, scale=Scale.LOG),
        Float("dropout", 0, 0.6),
        Ordinal("size", ("xs", "s", "m", "l", "xl")),
    )
)


FULL_RUNS = Resource("epochs", 27, 27)  # one level: all configurations are equally lucky
RUNGS = Resource("epochs", 1, 10_000)


@cache
def distances(searcher: str, resource: Resource) -> npt.NDArray[np.float64]:
    """How far the configurations of each study are from the optimum, (STUDIES, TRIALS).

    Distances are mean squares in the unit cube, and the curves' loss but for what training and, on
    several levels, the luck of each configuration add to it.
    """
    objective = Objective("loss")
    found = []
    for seed in range(STUDIES):
        study = Study(
            name="quality",
            objective=objective,
            resource=resource,
            space=SPACE,
            max_trials=TRIALS,
            seed=seed,
            parallelism=4,
            eta=10.0,
            mode="Stopping",
            searcher=searcher,
        )
        curves = AnalyticCurves(SPACE, resource, objective, landscape=seed)
        trials = Simulation(study, curves).run().trials
        places = SPACE.encode_many([trial.parameters for trial in trials])
        optimum = generator(seed, 0, "optimum").random(SPACE.dimension)
        found.append(np.mean((places - optimum) ** 2, axis=1))
    return np.array(found)
