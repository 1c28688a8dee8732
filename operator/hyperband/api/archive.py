"""Finished trials in one object: a JSON list of what their own objects had, compressed. Pure."""

import base64
import gzip
import io
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hyperband.api import names
from hyperband.api.archive_data import FORMAT, MAX_DATA
from hyperband.api.owners import owner_reference

MAX_BYTES: Final = 100_000_000  # decompressed; a trial has at most about 60 kB
# Of a trial's metadata; the owner is the archive's, and who wrote which field is of no use.
_DROPPED: Final = {"managedFields", "generation", "namespace", "ownerReferences", "selfLink"}

Body = Mapping[str, Any]  # of a HyperbandTrial


class UnreadableArchiveError(ValueError):
    """An archive does not hold what it says."""


@dataclass(frozen=True, slots=True)
class Packed:
    """As many trials as fit into an archive: the first ones of those that were given."""

    data: str
    trials: int


def pack(bodies: Sequence[Body]) -> Packed:
    """Trial objects as a server gives them, by index, written into the data of an archive.

    The same trials give the same data, so that an archive that is made a second time is known.
    """
    kept = list(bodies)
    while True:
        text = json.dumps([_kept(body) for body in kept], separators=(",", ":"), sort_keys=True)
        data = base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()
        if len(data) <= MAX_DATA or len(kept) == 1:
            return Packed(data, len(kept))
        kept = kept[: max(1, len(kept) * MAX_DATA * 9 // (len(data) * 10))]


def _kept(body: Body) -> dict[str, Any]:
    metadata = {k: v for k, v in body["metadata"].items() if k not in _DROPPED}
    return {"metadata": metadata, "spec": body["spec"], "status": body.get("status") or {}}


def unpack(spec: Body) -> list[dict[str, Any]]:
    """The trial objects in an archive's spec, by index.

    Raises:
        UnreadableArchiveError: it is damaged.
    """
    if spec.get("format") != FORMAT:
        raise UnreadableArchiveError(f"its format is {spec.get('format')}, not {FORMAT}")
    try:
        packed = base64.b64decode(spec["data"], validate=True)
        with gzip.GzipFile(fileobj=io.BytesIO(packed)) as file:
            text = file.read(MAX_BYTES + 1)
        if len(text) > MAX_BYTES:
            raise UnreadableArchiveError(f"its data has more than {MAX_BYTES} bytes")
        bodies: list[dict[str, Any]] = json.loads(text)
        indices = [int(body["spec"]["index"]) for body in bodies]
        for body in bodies:
            if not isinstance(body["status"], dict) or not body["metadata"]["uid"]:
                raise UnreadableArchiveError(f"trial {body['spec']['index']} is no trial")
    except UnreadableArchiveError:
        raise
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise UnreadableArchiveError(f"its data is damaged ({error})") from error
    except (OSError, EOFError, zlib.error) as error:  # of gzip
        raise UnreadableArchiveError(f"its data is damaged ({error})") from error
    said = (spec.get("trials"), spec.get("first"), spec.get("last"))
    if not indices or said != (len(indices), indices[0], indices[-1]):
        raise UnreadableArchiveError(f"its data is not of the {said[0]} trials that it names")
    return bodies


def archive_manifest(
    namespace: str, study: str, uid: str, chunk: int, bodies: Sequence[Body]
) -> dict[str, Any]:
    """The archive of these trials, or of the first of them if all are too much for one.

    Args:
        uid: of the study.
        bodies: trial objects as a server gives them, by index.
    """
    packed = pack(bodies)
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.ARCHIVE_KIND,
        "metadata": {
            "name": names.archive_name(study, chunk),
            "namespace": namespace,
            "labels": {names.STUDY_LABEL: study},
            "ownerReferences": [owner_reference(names.STUDY_KIND, study, uid)],
        },
        "spec": {
            "chunk": chunk,
            "trials": packed.trials,
            "first": int(bodies[0]["spec"]["index"]),
            "last": int(bodies[packed.trials - 1]["spec"]["index"]),
            "format": FORMAT,
            "data": packed.data,
        },
    }
