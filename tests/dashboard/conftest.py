"""What several tests of the page show."""

import pytest

from hyperband.dashboard.snapshot import Snapshot
from tests.dashboard.played import enlarged, objects, seen


@pytest.fixture(scope="session")
def many() -> Snapshot:
    """A study of ten thousand trials."""
    return seen(*enlarged(*objects(), 10_000)).snapshot()[0]
