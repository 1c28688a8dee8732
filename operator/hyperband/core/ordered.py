"""Keys in their order, with the place of each, at a cost that grows by the logarithm of how many.

Of one sorted list, half is moved in memory at each insertion. Here the keys stand in short sorted
lists one after the other; a binary indexed tree (Fenwick 1994) over their lengths tells how many
keys stand before one of them.
"""

from bisect import bisect_left, bisect_right, insort

MOST = 1_024  # keys in one list, before it is split

Key = tuple[float, int]


class Ordered:
    """A set of keys; ascending."""

    def __init__(self) -> None:
        self._parts: list[list[Key]] = [[]]
        self._least: list[Key] = []  # the first key of each part but the first
        self._tree: list[int] = [0, 0]  # from 1 on, by part
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def first(self) -> Key | None:
        """The least of them."""
        return self._parts[0][0] if self._count else None

    def add(self, key: Key) -> None:
        """Takes in a key that is not there."""
        at = bisect_right(self._least, key)
        part = self._parts[at]
        insort(part, key)
        self._count += 1
        if len(part) > MOST:
            half = len(part) // 2
            self._parts[at : at + 1] = part[:half], part[half:]
            self._least.insert(at, part[half])
            self._build()
        else:
            self._change(at, 1)

    def remove(self, key: Key) -> None:
        """Takes out a key that is there."""
        at = bisect_right(self._least, key)
        part = self._parts[at]
        del part[bisect_left(part, key)]
        self._count -= 1
        if not part and len(self._parts) > 1:
            del self._parts[at]
            del self._least[max(0, at - 1)]
            self._build()
        else:
            self._change(at, -1)

    def find(self, key: Key) -> tuple[int, bool]:
        """How many keys stand before this one, and whether it is there itself."""
        at = bisect_right(self._least, key)
        part = self._parts[at]
        place = bisect_left(part, key)
        return self._before(at) + place, place < len(part) and part[place] == key

    # -- the tree: node i adds up the parts from i - (i & -i) to i - 1 ----------------------------

    def _build(self) -> None:
        """Anew, as there are other parts than before; once in `MOST` / 2 changes at most."""
        self._tree = [0, *map(len, self._parts)]
        for node in range(1, len(self._tree)):
            above = node + (node & -node)
            if above < len(self._tree):
                self._tree[above] += self._tree[node]

    def _change(self, at: int, by: int) -> None:
        node = at + 1
        while node < len(self._tree):
            self._tree[node] += by
            node += node & -node

    def _before(self, at: int) -> int:
        total, node = 0, at
        while node:
            total += self._tree[node]
            node -= node & -node
        return total
