"""The log: a line of text for people, or of JSON for a collector; either says what it is about.

The fields of JSON come from python-json-logger, which kopf's own JSON formatter is made of too, and
which brings what has no place in the message: exceptions, values of any type, extra fields.
"""

import logging
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

from hyperband.api import names
from hyperband.backends.kubernetes.telemetry.context import About, current
from hyperband.core.errors import printable

KOPF_ATTRS = ("k8s_ref", "k8s_skip", "settings")  # on its records, for its own handlers


class LogFormat(StrEnum):
    """How lines are written."""

    TEXT = "text"
    JSON = "json"


def configure(format_: LogFormat, *, verbose: bool) -> None:
    """Writes the log to stderr: our own lines, and those of the libraries."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if format_ is LogFormat.JSON else TextLines())
    level = logging.DEBUG if verbose else logging.INFO
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(True)
    if not verbose:
        logging.getLogger("kopf").setLevel(logging.WARNING)


class JsonLines(JsonFormatter):
    """One JSON object a line: time, level, logger, message, and what it is about."""

    def __init__(self) -> None:
        super().__init__(
            ["message"],
            rename_fields={"exc_info": "exception"},
            reserved_attrs=[*RESERVED_ATTRS, *KOPF_ATTRS],
        )

    def add_fields(
        self,
        log_data: dict[str, Any],
        record: logging.LogRecord,
        message_dict: dict[str, Any],
    ) -> None:
        time = datetime.fromtimestamp(record.created, UTC)
        log_data["time"] = time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        log_data["level"], log_data["logger"] = record.levelname, record.name
        super().add_fields(log_data, record, message_dict)
        if (about := _about(record)) is not None:
            log_data["namespace"], log_data["study"] = about.namespace, about.study
            if about.trial:
                log_data["trial"] = about.trial


class TextLines(logging.Formatter):
    """Short lines; the study comes before the message, unless that begins with it."""

    def __init__(self) -> None:
        super().__init__(
            "%(asctime)s.%(msecs)03d %(levelname)-7s %(name)s: %(message)s", "%H:%M:%S"
        )

    def formatMessage(self, record: logging.LogRecord) -> str:
        # What is quoted in it neither moves the cursor nor makes up lines of its own.
        record.message = printable(record.message).replace("\n", "\\n")
        about = _about(record)
        if about is not None:
            study = f"{about.namespace}/{about.study}"
            if not record.message.startswith(study):
                record.message = f"{study}: {record.message}"
        return super().formatMessage(record)


def _about(record: logging.LogRecord) -> About | None:
    """What a line is about, by the task that wrote it, or by the object that kopf names."""
    if (known := current()) is not None:
        return known
    named = getattr(record, "k8s_ref", None)
    if isinstance(named, dict) and named.get("kind") == names.STUDY_KIND:
        return About(str(named.get("namespace", "")), str(named.get("name", "")))
    return None
