"""Inputs of the targets for Hypothesis: texts that are nearly JSON, and bytes to make more from."""

import json
from collections.abc import Mapping
from typing import Any, Final

from hypothesis import strategies as st

from tests.studies import changed, good_study

_scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["epochs", "val_loss", "NaN", "-inf", 10**400, 1e308, -0.0])
)
_anything: st.SearchStrategy[Any] = st.recursive(
    _scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["epochs", "val_loss", "name", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)
_reports = st.lists(
    st.fixed_dictionaries({"epochs": st.floats(0, 100) | _scalars, "val_loss": _scalars}),
    max_size=5,
)
_PATHS: Final = (
    *("metadata", "metadata.name", "metadata.uid", "spec", "spec.objective.metric"),
    *("spec.resource", "spec.resource.min", "spec.resource.max", "spec.resource.type"),
    *("spec.hyperband", "spec.hyperband.eta", "spec.hyperband.mode", "spec.hyperband.brackets"),
    *("spec.searcher", "spec.searcher.seed", "spec.parameters", "spec.parameters.0"),
    *("spec.parameters.0.min", "spec.parameters.0.max", "spec.parameters.1.max"),
    *("spec.parameters.2.values", "spec.parameters.2.weights", "spec.parameters.3.values"),
    *("spec.parameters.4.step", "spec.parameters.4.when", "spec.parameters.5.mean"),
    *("spec.parameters.5.deviation", "spec.parameters.6.value", "spec.maxTrials"),
    *("spec.initialParameters", "spec.warmStart", "spec.trialTemplate.spec", "spec.checkpoint"),
    *("spec.trialTemplate.spec.containers.0.env", "spec.trialTemplate.metadata"),
)
_studies = st.dictionaries(st.sampled_from(_PATHS), _anything, min_size=1, max_size=3)


def _study(changes: Mapping[str, Any]) -> bytes:
    """The good study with these changes; what lies below another change is changed first."""
    ordered = sorted(changes.items(), key=lambda change: -change[0].count("."))
    return json.dumps(changed(good_study(), dict(ordered))).encode()


def _made(*firsts: int) -> st.SearchStrategy[bytes]:
    """Bytes that a target makes its input from, after a first one."""
    rest = st.binary(min_size=30, max_size=200)  # fewer make the same document again and again
    return st.builds(lambda first, more: bytes([first]) + more, st.sampled_from(firsts), rest)


INPUTS: Final[Mapping[str, st.SearchStrategy[bytes]]] = {
    "metrics": st.one_of(
        _made(0),
        (_reports | _anything).map(lambda document: json.dumps(document).encode()),
        st.text(alphabet='[]{}":,0123456789eENaIfinty-\\u').map(str.encode),
        st.binary(max_size=100),
    ),
    "study": st.one_of(
        _made(0, 1, 2), _made(0, 1, 2), _studies.map(_study), st.binary(max_size=100)
    ),
    "reporter": st.binary(min_size=30, max_size=200),
}
