"""What a profile says: the functions that take longest, and the share of each kind of work.

What a library does for a function of ours is that function's time: the profile's own time of
foreign functions goes to their callers, in the proportion in which they caused it.
"""

import pstats
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TOP = 12  # functions

Function = tuple[str, int, str]  # file, line, name

KINDS = {
    "gp/kernels.py": "kernels",
    "gp/resources.py": "kernels",
    "gp/model.py": "likelihood",
    "gp/posterior.py": "predictions",
    "gp/acquisition.py": "predictions",
    "gp/search.py": "search",
    "core/cube.py": "places",
    "scipy/linalg": "solves",
    "scipy/optimize": "search",
    "core/space.py": "places",
    "core/axes.py": "places",
}
APART = {"cross": "kernels", "solve": "solves", "append": "solves", "_cholesky": "solves"}
REST = "rest"


def kind(function: Function) -> str | None:
    """The kind of work that a function does; None if it works for its caller."""
    path, _, name = function
    for part, own in KINDS.items():
        if part in path:
            return APART.get(name, own) if "gp/" in part else own
    return REST if "/hyperband/" in path else None


def shares(stats: Mapping[Function, Any]) -> dict[str, float]:
    """Seconds by kind of work, largest first.

    Args:
        stats: of a `pstats.Stats`: (calls, calls, own seconds, seconds, callers) by function.
    """
    seconds: defaultdict[str, float] = defaultdict(float)
    for function, (_, _, own, _, _) in stats.items():
        for name, part in _cause(function, stats, ()).items():
            seconds[name] += own * part
    return dict(sorted(seconds.items(), key=lambda pair: -pair[1]))


def _cause(
    function: Function, stats: Mapping[Function, Any], above: tuple[Function, ...]
) -> dict[str, float]:
    """For which kinds of work a function works: shares that add up to 1."""
    known = kind(function)
    if known:
        return {known: 1.0}
    # Time within each caller; a function that calls itself works for the others.
    callers = {
        caller: times[3]
        for caller, times in stats[function][4].items()
        if caller not in (*above, function)
    }
    total = sum(callers.values())
    if not total:
        return {REST: 1.0}
    parts: defaultdict[str, float] = defaultdict(float)
    for caller, time in callers.items():
        for name, part in _cause(caller, stats, (*above, function)).items():
            parts[name] += part * time / total
    return dict(parts)


def profile_record(profile: pstats.Stats, suggestions: int) -> dict[str, Any]:
    """What a file keeps of a profile: milliseconds a suggestion, by kind and by function."""
    stats: Mapping[Function, Any] = profile.stats  # type: ignore[attr-defined]
    scale = 1e3 / suggestions
    longest = sorted(stats, key=lambda function: -stats[function][2])[:TOP]
    return {
        "total": scale * sum(row[2] for row in stats.values()),
        "shares": {name: scale * seconds for name, seconds in shares(stats).items()},
        "functions": [
            {
                "function": _name(function),
                "calls": stats[function][1] / suggestions,
                "own": scale * stats[function][2],
                "cumulative": scale * stats[function][3],
            }
            for function in longest
        ],
    }


def _name(function: Function) -> str:
    path, line, name = function
    if path == "~":  # built in
        return name.strip("<>")
    return f"{'/'.join(Path(path).parts[-2:])}:{line} {name}"
