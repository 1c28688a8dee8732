"""One target with Hypothesis, whose strategies make well-formed bad input."""

import sys
from typing import Final

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz.__main__ import campaign, executed
from tests.fuzz.findings import Campaign
from tests.fuzz.strategies import INPUTS

CHUNK: Final = 5_000  # examples at a time: what Hypothesis remembers of them is forgotten then


def main(target: str, runs: int) -> None:
    """Runs the examples that are left, in chunks with seeds of their own."""
    folder = campaign("hypothesis", target)
    run = Campaign(target, folder, runs, executed(folder))
    while run.left > 0:
        chunk(target, run)


def chunk(target: str, run: Campaign) -> None:
    """The next examples; findings are kept, and end nothing."""

    @seed(run.done)
    @settings(
        max_examples=min(CHUNK, run.left),
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(INPUTS[target])
    def examples(data: bytes) -> None:
        run.run(data)

    examples()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
