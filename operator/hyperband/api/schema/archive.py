"""The schema of a HyperbandArchive: finished trials of a study, folded into one object."""

from typing import Final

from hyperband.api.archive_data import FORMAT, MAX_DATA
from hyperband.api.schema.build import choice, integer, record, rule, text
from hyperband.api.schema.study_spec import MAX_TRIALS

ARCHIVE_SPEC: Final = record(
    "The trials of one archive. Never changes.",
    {
        "chunk": integer("Number of the archive in its study, from 0.", minimum=0),
        "trials": integer("How many trials it holds.", minimum=1, maximum=MAX_TRIALS),
        "first": integer("The lowest index among them.", minimum=0),
        "last": integer("The highest index among them.", minimum=0),
        "format": choice(
            f"How data is written. {FORMAT}: a JSON list of HyperbandTrial objects, by index, each "
            "with metadata, spec and status as it had them; compressed by gzip; in base64.",
            [FORMAT],
        ),
        "data": text("The trials.", minLength=1, maxLength=MAX_DATA),
    },
    required=("chunk", "trials", "first", "last", "format", "data"),
    rules=[
        rule(
            "self == oldSelf",
            "spec: a HyperbandArchive is a record and never changes",
        )
    ],
)
