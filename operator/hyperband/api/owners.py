"""Who owns an object, as the object says it."""

from typing import Any

from hyperband.api import names


def owner_reference(kind: str, name: str, uid: str) -> dict[str, Any]:
    """A controlling owner of ours, which never blocks the owner's deletion."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": kind,
        "name": name,
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }
