"""The objects of one kind as last seen, and what may change them. No I/O.

The cache never goes back: an object in it is never replaced by an older version of itself, an
object that was re-created under the same name is another one (Deleted, then Added), and one that
is known to be gone is not brought back by news from before.

It stands on resourceVersions being numbers that grow over all objects of a kind, which Kubernetes
vouches for from 1.35 on and did long before. Only a list may turn them back, because a cluster's
database may have been restored from a backup.
"""

import logging
from collections.abc import Callable, Hashable, Iterator
from enum import Enum
from typing import Generic, TypeVar

from hyperband.backends.kubernetes.objects import Object

log = logging.getLogger(__name__)

O = TypeVar("O", bound=Object)  # noqa: E741
Key = tuple[str, str]  # namespace, name


class Change(Enum):
    """What happened to an object, as seen in the cache."""

    ADDED = "Added"  # old is None
    MODIFIED = "Modified"
    DELETED = "Deleted"  # new is None


OnChange = Callable[[Change, O | None, O | None], None]


class Cache(Generic[O]):
    """Objects by namespace and name, and by one key of the caller's choice.

    `on_change(change, old, new)` is called after each change of the cache. It must be quick; best
    it only wakes somebody, who then reads the cache. Its exceptions are logged and dropped.
    """

    def __init__(
        self,
        on_change: OnChange[O] | None = None,
        index: Callable[[O], Hashable | None] | None = None,
    ) -> None:
        self.revision = 0  # the state of the cluster that list and watch have brought us to
        self._on_change = on_change
        self._index = index
        self._objects: dict[Key, O] = {}
        self._groups: dict[Hashable, dict[Key, O]] = {}
        self._listing = False
        self._listed: set[Key] = set()
        self._put: set[Key] = set()  # while listing

    def get(self, namespace: str, name: str) -> O | None:
        """The object as last seen."""
        return self._objects.get((namespace, name))

    def by_index(self, key: Hashable) -> list[O]:
        """The objects for which the index function gives this key, in no order."""
        return list(self._groups.get(key, {}).values())

    def __iter__(self) -> Iterator[O]:
        return iter(list(self._objects.values()))

    def __len__(self) -> int:
        return len(self._objects)

    def put(self, new: O) -> None:
        """Insert what the server answered to an own create or update, ahead of its event.

        The caller vouches that the object belongs here (its labels). `on_change` is called, as the
        answer may hold changes by others whose own events will then come too late to tell of them.
        Not for the answer to a deletion.
        """
        if not self._is_news(new):
            return
        if self._listing:
            self._put.add(_key(new))
        self._store(new)

    def see(self, new: O) -> None:
        """An ADDED or MODIFIED event; which of them it is to the cache, the cache knows better."""
        if self._is_news(new):
            self._store(new)
        self.revision = max(self.revision, _revision(new))

    def see_deleted(self, gone: O) -> None:
        """A DELETED event: nothing of that name is left from that moment or before."""
        old = self._objects.get(_key(gone))
        if old is not None and _revision(old) <= _revision(gone):
            self._drop(old)
        self.revision = max(self.revision, _revision(gone))

    def begin_list(self) -> None:
        """A list of all objects begins, or begins again."""
        self._listing = True
        self._listed = set()
        self._put = set()

    def see_listed(self, new: O) -> None:
        """An object of the list. The list is the truth, but what was put since may be newer."""
        key = _key(new)
        self._listed.add(key)
        old = self._objects.get(key)
        if old is not None:
            same = (old.metadata.uid, _revision(old)) == (new.metadata.uid, _revision(new))
            if same or (key in self._put and _revision(old) >= _revision(new)):
                return
        self._store(new)

    def end_list(self, revision: int) -> None:
        """The list, of the state at `revision`, is complete: what it does not have is gone."""
        for key, old in list(self._objects.items()):
            newer = key in self._put and _revision(old) > revision
            if key not in self._listed and not newer:
                self._drop(old)
        self.revision = revision
        self._listing = False

    def clear(self) -> None:
        """Forgets all objects, as if they were gone."""
        for old in list(self._objects.values()):
            self._drop(old)

    def _is_news(self, new: O) -> bool:
        old = self._objects.get(_key(new))
        # What is not there although we are past its state has been deleted since.
        return _revision(new) > (self.revision if old is None else _revision(old))

    def _store(self, new: O) -> None:
        key = _key(new)
        old = self._objects.get(key)
        if old is not None and old.metadata.uid != new.metadata.uid:
            self._drop(old)
            old = None
        self._objects[key] = new
        self._regroup(key, old, new)
        self._tell(Change.ADDED if old is None else Change.MODIFIED, old, new)

    def _drop(self, old: O) -> None:
        key = _key(old)
        del self._objects[key]
        self._regroup(key, old, None)
        self._tell(Change.DELETED, old, None)

    def _regroup(self, key: Key, old: O | None, new: O | None) -> None:
        if self._index is None:
            return
        before = None if old is None else self._index(old)
        if before is not None:
            group = self._groups[before]
            del group[key]
            if not group:
                del self._groups[before]
        if new is not None and (after := self._index(new)) is not None:
            self._groups.setdefault(after, {})[key] = new

    def _tell(self, change: Change, old: O | None, new: O | None) -> None:
        if self._on_change is None:
            return
        try:
            self._on_change(change, old, new)
        except Exception:
            log.exception("on_change failed, %s of %s is not told", change.value, old or new)


def _key(object_: Object) -> Key:
    return object_.metadata.namespace, object_.metadata.name


def _revision(object_: Object) -> int:
    return int(object_.metadata.resource_version)
