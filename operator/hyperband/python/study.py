"""`hyperband.Study`: a study as an object, which is the same thing as its file."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hyperband.api import names
from hyperband.api.files import only_study, read_file
from hyperband.api.orders import RESUME, STOP, SUSPEND
from hyperband.api.status import is_finished
from hyperband.api.text import study_yaml
from hyperband.backends.kubernetes.objects import CustomObject
from hyperband.backends.local.opening import Options
from hyperband.core.errors import all_printable, printable
from hyperband.plots.kinds import Kind, figure_of
from hyperband.plots.records import of_objects
from hyperband.plots.values import Over
from hyperband.python import body as bodies
from hyperband.python import frames, laptop, notebook
from hyperband.python.parameters import Parameter
from hyperband.python.pictures import Picture, picture
from hyperband.python.problems import StudyError
from hyperband.python.progress import Progress
from hyperband.python.remote import Place, Remote
from hyperband.python.sources import Folder, Source

if TYPE_CHECKING:
    from pandas import DataFrame

Goal = Literal["Minimize", "Maximize"]
Mode = Literal["Promotion", "Stopping", "Synchronous", "None"]


@dataclass(frozen=True, slots=True)
class Best:
    """The best configuration so far: its trial, its value, and the resource it was reached at."""

    trial: str
    value: float
    resource: float
    parameters: Mapping[str, str | int | float | bool]


class Study:
    """A study of hyperparameters: built here or read from a file, run here or on a cluster.

    study = Study(
        "digits",
        metric="val_loss",
        resource=("epochs", 1, 27),
        parameters=[Float("learning_rate", 1e-5, 1e-1, log=True), Integer("layers", 1, 4)],
        max_trials=50,
        image="registry.example.com/digits:1",
        command=["python3", "train.py"],
    )
    study.save("study.yaml")       # what `hyperband validate` and `kubectl apply` take
    study.run(command="python3 train.py")
    study.best, study.trials(), study.plot("curves")
    """

    def __init__(
        self,
        name: str,
        *,
        metric: str,
        resource: tuple[str, float, float],
        parameters: Sequence[Parameter],
        max_trials: int,
        goal: Goal = "Minimize",
        parallelism: int | None = None,
        mode: Mode = "Promotion",
        eta: float | None = None,
        brackets: int | None = None,
        searcher: str = "Random",
        seed: int | None = None,
        image: str | None = None,
        command: Sequence[str] = (),
        gpus: int = 0,
        checkpoint_claim: str | None = None,
        namespace: str | None = None,
        labels: Mapping[str, str] | None = None,
        spec: Mapping[str, Any] | None = None,
    ) -> None:
        """Makes a study; nothing is sent or started.

        Args:
            metric: the objective, by the name that the training reports.
            resource: the name that it reports, the least that tells a good trial from a bad one,
                and a full training: `("epochs", 1, 27)`.
            parameters: made by `Float`, `Integer`, `Categorical`, `Ordinal`, `Constant`.
            max_trials: configurations to try.
            image: of the container that trains; without it, give `spec={"trialTemplate": …}`.
            checkpoint_claim: a volume claim where promoted trials find their checkpoints.
            spec: all other fields, by their names in a file; they come before those above, and
                are added to what these make of `hyperband` and `searcher`.

        Raises:
            StudyProblemsError: all that is wrong, each with field, value and mend.
        """
        unit, low, high = resource
        hyperband = {"mode": mode, "eta": eta, "brackets": brackets}
        made: dict[str, Any] = {
            "objective": {"metric": metric, "goal": goal},
            "resource": {"name": unit, "min": low, "max": high},
            "hyperband": bodies.given(hyperband),
            "searcher": bodies.given({"type": searcher, "seed": seed}),
            "parameters": list(parameters),
            "maxTrials": max_trials,
            **bodies.given({"parallelism": parallelism}),
        }
        if image is not None:
            made |= bodies.template(image, command, gpus, checkpoint_claim)
        marks = None if labels is None else dict(labels)
        metadata = bodies.given({"name": name, "namespace": namespace, "labels": marks})
        self._body = bodies.checked(
            {
                "apiVersion": names.API_VERSION,
                "kind": names.STUDY_KIND,
                "metadata": metadata,
                "spec": bodies.merged(made, spec or {}),
            }
        )
        self._source: Source | None = None

    # -- the file ------------------------------------------------------------------------------

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> "Study":
        """The study of an object as a file, or a server, has it.

        Raises:
            StudyProblemsError: all that is wrong with it.
        """
        made = cls.__new__(cls)
        made._body, made._source = bodies.checked(body), None
        return made

    @classmethod
    def from_yaml(cls, text: str) -> "Study":
        """The study in a text as a file has it.

        Raises:
            InvalidStudyError: it is no YAML, or holds no study, or several.
            StudyProblemsError: all that is wrong with the study.
        """
        return cls.from_dict(only_study(text.encode(), "the text"))

    @classmethod
    def from_file(cls, path: str | Path) -> "Study":
        """The study in a file; other objects in it are left alone.

        Raises:
            OSError: the file cannot be read.
            InvalidStudyError: it is no YAML, or holds no study, or several.
            StudyProblemsError: all that is wrong with the study.
        """
        return cls.from_dict(only_study(read_file(Path(path)), str(path)))

    @classmethod
    def from_run(cls, dir: str | Path) -> "Study":
        """The study of a run on this machine, whether it goes on or not.

        Raises:
            StudyError: there is none in that folder.
        """
        source = Folder(Path(dir).absolute())
        made = cls.from_dict({**source.read()[0], "status": None})
        made._source = source
        return made

    def to_dict(self) -> dict[str, Any]:
        """The study's object."""
        return copy.deepcopy(self._body)

    def to_yaml(self) -> str:
        """The study as a file has it."""
        return study_yaml(self._body)

    def save(self, path: str | Path) -> None:
        """Writes the study's file."""
        Path(path).write_text(self.to_yaml(), encoding="utf-8")

    @property
    def name(self) -> str:
        """The study's name."""
        return str(self._body["metadata"]["name"])

    @property
    def spec(self) -> Mapping[str, Any]:
        """The study's fields, as its file has them."""
        found: Mapping[str, Any] = self._body["spec"]
        return found

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Study) and self._body == other._body

    __hash__ = None  # type: ignore[assignment]  # as of anything that others may change

    # -- on this machine -----------------------------------------------------------------------

    def run(
        self,
        *,
        command: str | None = None,
        dir: str | Path | None = None,
        resume: bool = False,
        parallelism: int | None = None,
        gpus: int | None = None,
        timeout: float | None = None,
        progress: bool = True,
    ) -> "Study":
        """Runs the study on this machine to its end, with processes as trials; returns it.

        Args:
            command: what trains, instead of the template's command and args: `python3 train.py`.
            dir: the folder of the run; default: NAME.run in the current one.
            resume: goes on with the run in that folder.
            parallelism: trials at a time; default: the study's, one a processor.
            gpus: GPUs to use; default: those that nvidia-smi lists.
            timeout: interrupts the run after so many seconds.
            progress: whether it is told how the study goes.

        Raises:
            StudyError: it cannot be run here.
            TimeoutError: the time was up; `resume=True` goes on. Ctrl-C likewise.
        """
        folder = Path(dir if dir is not None else f"{self.name}.run").absolute()
        shown = Progress(progress)
        options = Options(command, gpus, parallelism, resume)

        def begun() -> None:
            self._source = Folder(folder)

        wish = laptop.Wish(folder, options, timeout, shown.show, shown.tell, begun)
        try:
            laptop.run(self.to_dict(), wish)
        finally:
            shown.close()
        return self

    # -- on a cluster --------------------------------------------------------------------------

    @classmethod
    def get(
        cls,
        name: str,
        namespace: str | None = None,
        *,
        context: str | None = None,
        kubeconfig: str | None = None,
    ) -> "Study":
        """A study of a cluster, to read and to wait for.

        Args:
            namespace: default: that of the context.
            context: of the kubeconfig; default: the current one.
            kubeconfig: a file to use instead of KUBECONFIG or ~/.kube/config.

        Raises:
            StudyError: it is not there, or the cluster cannot be reached.
        """
        place = Place(namespace, context, kubeconfig)
        return cls._of(Remote(place, name).study(), place)

    @classmethod
    def list(
        cls,
        namespace: str | None = None,
        *,
        all_namespaces: bool = False,
        context: str | None = None,
        kubeconfig: str | None = None,
    ) -> "Sequence[Study]":
        """The studies of a namespace, or of all, by namespace and name.

        Raises:
            StudyError: the cluster cannot be reached, or refuses.
        """
        place = Place(namespace, context, kubeconfig)
        return [cls._of(body, place) for body in place.studies(all_namespaces)]

    @classmethod
    def _of(cls, body: Mapping[str, Any], place: Place) -> "Study":
        """A study as a cluster has it: whatever may be wrong in it, it can be read."""
        made = cls.__new__(cls)
        made._body = bodies.own(body)
        there = Place(body["metadata"]["namespace"], place.context, place.kubeconfig)
        made._source = Remote(there, made.name)
        return made

    def submit(
        self,
        namespace: str | None = None,
        *,
        context: str | None = None,
        kubeconfig: str | None = None,
    ) -> "Study":
        """Creates the study on a cluster, or brings it up to date, as `hyperband submit` does.

        Args: as of `get`; a namespace of the study's own comes first.

        Raises:
            StudyError: the cluster cannot be reached, or refuses; or the study is finished there.
        """
        own = self._body["metadata"].get("namespace")
        if own and namespace and own != namespace:
            raise StudyError(
                f"study {self.name} is of namespace {own}, not {namespace}: leave it out"
            )
        place = Place(own or namespace, context, kubeconfig)
        self._source = Remote(place, self.name).submit(self.to_dict())
        return self

    def wait(self, timeout: float | None = None, *, progress: bool = True) -> "Study":
        """Waits until the study is over on its cluster; returns it. Ctrl-C ends the wait alone.

        Raises:
            TimeoutError: it is not over after so many seconds; it goes on.
            StudyError: it is on no cluster, or that cannot be reached.
        """
        remote, shown = self._remote(), Progress(progress)
        try:
            remote.wait(timeout, shown.show)
        finally:
            shown.close()
        return self

    def suspend(self) -> None:
        """Lets the study pause: its pods end, nothing is lost, `resume` goes on.

        Raises:
            StudyError: it is on no cluster, or is finished there.
        """
        self._remote().order(SUSPEND)

    def resume(self) -> None:
        """Lets a suspended study go on from its checkpoints.

        Raises:
            StudyError: it is on no cluster, or is finished or being stopped there.
        """
        self._remote().order(RESUME)

    def stop(self) -> None:
        """Ends the study for good, with what it has found; this cannot be undone.

        Raises:
            StudyError: it is on no cluster.
        """
        self._remote().order(STOP)

    def _remote(self) -> Remote:
        if isinstance(self._source, Remote):
            return self._source
        if self._source is not None:
            mend = "Ctrl-C interrupts run(), run(resume=True) goes on"
            raise StudyError(f"study {self.name} was run on this machine, not on a cluster: {mend}")
        raise StudyError(f"study {self.name} is on no cluster: call submit(), or take it by get()")

    # -- how it stands -------------------------------------------------------------------------

    @property
    def status(self) -> Mapping[str, Any]:
        """What is known of the study's run now: `status` of its object; empty without a run."""
        if self._source is None:
            return {}
        found: Mapping[str, Any] = self._source.study().get("status") or {}
        return found

    @property
    def finished(self) -> bool:
        """Whether it is over."""
        return is_finished(dict(self.status))

    @property
    def best(self) -> Best | None:
        """The best configuration so far."""
        found = self.status.get("best")
        if not found:
            return None
        return Best(found["trial"], found["value"], found["resource"], dict(found["parameters"]))

    def trials(self) -> "DataFrame":
        """A row for each trial: where it stands, its last value, and its parameters.

        Raises:
            MissingPackageError: pandas is not installed.
            StudyError: the study was neither run nor submitted.
        """
        return frames.trials(self.spec, self._items())

    def values(self) -> "DataFrame":
        """A row for each value at a rung, in the order in which they were recorded."""
        return frames.values(self.spec, self._items())

    def curves(self) -> "DataFrame":
        """A row for each point of the learning curves that trials have kept."""
        return frames.curves(self.spec, self._items())

    def plot(self, kind: str = "curves", *, over: str | None = None) -> Picture:
        """A figure of matplotlib, which a notebook shows.

        Args:
            kind: curves, best, parallel, importance, slices, pairs, rungs, timeline or predicted.
            over: what `best` is drawn over: time, gpu-hours or values.

        Raises:
            ValueError: there is no such kind.
            MissingPackageError: matplotlib is not installed.
            StudyError: the study was neither run nor submitted.
        """
        if kind not in list(Kind):
            raise ValueError(f"kind: '{kind}' is not one of {', '.join(Kind)}")
        body, trials = self._ran().read()
        records = of_objects(body, trials)
        return picture(figure_of(records, Kind(kind), None if over is None else Over(over)))

    def _items(self) -> Sequence[CustomObject]:
        return self._ran().items()

    def _ran(self) -> Source:
        if self._source is None:
            mend = "call run() or submit(), or take one that there is by from_run() or get()"
            raise StudyError(f"study {self.name} was neither run nor submitted: {mend}")
        return self._source

    # -- in a notebook -------------------------------------------------------------------------

    def __repr__(self) -> str:
        where = "" if self._source is None else f", {self._source}"
        return printable(f"<Study {self.name}{where}>")

    def _repr_html_(self) -> str:
        """A table: what it searches, how it stands, and its best."""
        body = dict(self._body) if self._source is None else self._source.study()
        return notebook.table(all_printable(body))
