"""`hyperband.Study` on a real cluster: from an object to its DataFrames, by calls that wait."""

import asyncio
from pathlib import Path

import pytest

from hyperband import Study, StudyError
from tests.cluster.harness import running_operator, study

pytestmark = pytest.mark.cluster


async def test_a_study_is_submitted_waited_for_and_read(
    kubeconfig: Path, namespace: str, tmp_path: Path
) -> None:
    given = Study.from_dict(study("from-python", maxTrials=4))
    place = {"kubeconfig": str(kubeconfig)}
    with running_operator(namespace, tmp_path / "log"):
        given.submit(namespace, **place)
        # Called from a running loop, as in a notebook: the operator is a process of its own.
        given.suspend()
        assert given.status is not None
        with pytest.raises(TimeoutError, match="it goes on"):
            given.wait(timeout=0, progress=False)
        given.resume()
        await asyncio.to_thread(given.wait, 180)

        assert given.finished
        trials, values = given.trials(), given.values()
        assert sorted(trials["index"]) == [0, 1, 2, 3]
        best = given.best
        assert best is not None
        assert best.value == values["value"].min()
        assert given.curves()["resource"].max() == 9
        assert given.plot("timeline")._repr_png_().startswith(b"\x89PNG")

        (listed,) = Study.list(namespace, **place)
        assert listed.name == "from-python" and listed.best == best
        again = Study.get("from-python", namespace, **place)
        assert again.trials().equals(trials)
        with pytest.raises(StudyError, match="is finished"):
            again.suspend()
        with pytest.raises(StudyError, match="no study 'none'"):
            Study.get("none", namespace, **place)
