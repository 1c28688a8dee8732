"""Pods that have done their part and may still end by themselves, for a while."""

# A pod whose trial has reached its target may end by itself for this long, so that it can write
# what it wants to write; then it is deleted.
OVERTIME_SECONDS = 30.0


class Overtime:
    """When each such pod's time is up. An entry fires once and is forgotten."""

    def __init__(self) -> None:
        self._due: dict[str, tuple[float, int]] = {}  # pod uid: when, trial index
        self._fired: set[str] = set()

    def grant(self, uid: str, index: int, now: float) -> None:
        """Starts a pod's overtime, unless it has begun or is up."""
        if uid not in self._fired:
            self._due.setdefault(uid, (now + OVERTIME_SECONDS, index))

    def fire(self, now: float) -> set[int]:
        """The trials of the pods whose time is up now."""
        up = {uid: index for uid, (due, index) in self._due.items() if due <= now}
        for uid in up:
            del self._due[uid]
        self._fired.update(up)
        return set(up.values())

    def overdue(self, uid: str) -> bool:
        """Whether the pod's time is up."""
        return uid in self._fired

    def forget(self, uid: str) -> None:
        """The pod is over or gone."""
        self._due.pop(uid, None)
        self._fired.discard(uid)

    @property
    def next(self) -> float | None:
        """When the next entry fires."""
        return min((due for due, _ in self._due.values()), default=None)
