"""The CustomResourceDefinitions, put together."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from hyperband.api import names
from hyperband.api.schema.archive import ARCHIVE_SPEC
from hyperband.api.schema.build import Schema, column, record, rule
from hyperband.api.schema.study_spec import SPEC
from hyperband.api.schema.study_status import STATUS
from hyperband.api.schema.trial import TRIAL_SPEC, TRIAL_STATUS

Manifest = dict[str, Any]

# What any object has, which its definition has to name for rules to see it.
_HEAD: Final[Mapping[str, Schema]] = {
    "apiVersion": {"type": "string"},
    "kind": {"type": "string"},
    "metadata": {"type": "object"},
}

STUDY_SCHEMA: Final = record(
    "A HyperbandStudy tunes the hyperparameters of one training job: it runs trials as pods, "
    "compares them at rungs, stops the poor ones early, and goes on with the good ones.",
    {
        **_HEAD,
        "spec": SPEC,
        "status": STATUS,
    },
    required=("spec",),
    rules=[
        rule(
            f"size(self.metadata.name) <= {names.MAX_STUDY_NAME}",
            f"metadata.name %s is longer than {names.MAX_STUDY_NAME} characters, so that the "
            "names of its pods would not fit into labels: shorten it",
            "self.metadata.name",
        ),
        rule(
            "!has(self.spec.warmStart) || "
            "!self.spec.warmStart.fromStudies.exists(s, s == self.metadata.name)",
            "%s is this study itself, which has no earlier trials: name other studies",
            "self.metadata.name",
            field=".spec.warmStart.fromStudies",
        ),
    ],
)

TRIAL_SCHEMA: Final = record(
    "A HyperbandTrial is the record of one configuration of a HyperbandStudy: what was tried, "
    "what it reached, and why it was stopped or went on. The operator creates it and alone "
    "writes it; it outlives its pods.",
    {
        **_HEAD,
        "spec": TRIAL_SPEC,
        "status": TRIAL_STATUS,
    },
    required=("spec",),
)

ARCHIVE_SCHEMA: Final = record(
    "A HyperbandArchive holds finished trials of a HyperbandStudy, compressed, whose own objects "
    "are deleted: they still count, and nothing of their records is lost. The operator creates it "
    "when a study has more finished trials than spec.retention.trials.",
    {
        **_HEAD,
        "spec": ARCHIVE_SPEC,
    },
    required=("spec",),
)

STUDY_COLUMNS: Final = (
    column(
        "Status",
        '.status.conditions[?(@.type=="Progressing")].reason',
        description="Reason of the condition Progressing.",
    ),
    column("Mode", ".spec.hyperband.mode", description="How trials are stopped.", priority=1),
    column("Trials", ".status.trials.total", "integer", description="Trials that exist."),
    column("Of", ".spec.maxTrials", "integer", description="Trials that may exist."),
    column("Running", ".status.trials.running", "integer", description="Trials that train."),
    column(
        "Completed",
        ".status.trials.completed",
        "integer",
        description="Trials that reached resource.max.",
    ),
    column("Failed", ".status.trials.failed", "integer", description="Trials given up."),
    column("Metric", ".spec.objective.metric", description="What is optimized."),
    column("Best", ".status.best.text", description="The best value at any rung so far."),
    column("At", ".status.best.resource", "number", description="Resource of the best value."),
    column("Best Trial", ".status.best.trial", description="The trial with the best value."),
    column("GPU Seconds", ".status.gpuSeconds", "number", description="GPU time used.", priority=1),
    column(
        "Message",
        '.status.conditions[?(@.type=="Progressing")].message',
        description="Why the status is what it is.",
        priority=1,
    ),
    column("Age", ".metadata.creationTimestamp", "date"),
)

TRIAL_COLUMNS: Final = (
    column("State", ".status.state", description="Where the trial stands."),
    column(
        "From",
        ".spec.suggestion.origin",
        description="Where its configuration comes from: a searcher, Initial or Earlier.",
    ),
    column("Bracket", ".spec.bracket", "integer", description="Its bracket.", priority=1),
    column(
        "Latest",
        ".status.latest.resource",
        "number",
        description="Resource of the latest report that counts.",
    ),
    column("Target", ".status.target", "number", description="Resource it trains to."),
    column("Value", ".status.latest.text", description="The value it had there."),
    column("Attempt", ".status.attempt", "integer", description="Number of the attempt."),
    column("Reason", ".status.reason", description="Reason of the last decision."),
    column("Message", ".status.message", description="The last decision.", priority=1),
    column("Age", ".metadata.creationTimestamp", "date"),
)

ARCHIVE_COLUMNS: Final = (
    column(
        "Study",
        r".metadata.labels.hyperband\.dev/study",
        description="The study whose trials it holds.",
    ),
    column("Chunk", ".spec.chunk", "integer", description="Number of the archive in its study."),
    column("Trials", ".spec.trials", "integer", description="How many trials it holds."),
    column("First", ".spec.first", "integer", description="The lowest index among them."),
    column("Last", ".spec.last", "integer", description="The highest index among them."),
    column("Age", ".metadata.creationTimestamp", "date"),
)


def _definition(
    kind: str,
    plural: str,
    short: str,
    schema: Schema,
    columns: Sequence[Schema],
    selectable: Sequence[str],
) -> Manifest:
    version: Manifest = {
        "name": names.VERSION,
        "served": True,
        "storage": True,
        **({"subresources": {"status": {}}} if "status" in schema["properties"] else {}),
        "additionalPrinterColumns": list(columns),
        "schema": {"openAPIV3Schema": schema},
    }
    if selectable:
        version["selectableFields"] = [{"jsonPath": path} for path in selectable]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{names.GROUP}"},
        "spec": {
            "group": names.GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                "shortNames": [short],
                "categories": ["hyperband"],
            },
            "versions": [version],
        },
    }


def study_definition() -> Manifest:
    """The definition of HyperbandStudy."""
    return _definition(names.STUDY_KIND, names.STUDY_PLURAL, "hbs", STUDY_SCHEMA, STUDY_COLUMNS, ())


def trial_definition() -> Manifest:
    """The definition of HyperbandTrial."""
    return _definition(
        names.TRIAL_KIND,
        names.TRIAL_PLURAL,
        "hbt",
        TRIAL_SCHEMA,
        TRIAL_COLUMNS,
        (".status.state", ".status.reason"),
    )


def archive_definition() -> Manifest:
    """The definition of HyperbandArchive."""
    return _definition(
        names.ARCHIVE_KIND, names.ARCHIVE_PLURAL, "hba", ARCHIVE_SCHEMA, ARCHIVE_COLUMNS, ()
    )
