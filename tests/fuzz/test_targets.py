"""A bounded share of the campaigns, the same in each run."""

from hypothesis import HealthCheck, given, settings

from tests.fuzz.strategies import INPUTS
from tests.fuzz.targets import one_input

share = settings(
    max_examples=500,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@share
@given(INPUTS["metrics"])
def test_an_annotation_may_be_anything(data: bytes) -> None:
    one_input("metrics", data)


@share
@given(INPUTS["study"])
def test_an_object_may_be_anything(data: bytes) -> None:
    one_input("study", data)


@share
@given(INPUTS["reporter"])
def test_a_training_may_report_anything(data: bytes) -> None:
    one_input("reporter", data)
