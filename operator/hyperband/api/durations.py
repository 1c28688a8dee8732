"""Durations as people write them in a study: 90s, 30m, 6h, 1h30m, 30d."""

import re
from typing import Final

_UNITS: Final = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
# Largest unit first, each at most once. Six digits: about 2,700 years, which a timedelta holds.
PATTERN: Final = "^" + "".join(f"([0-9]{{1,6}}{unit})?" for unit in _UNITS) + "$"
NO_DURATION: Final = "is no duration: write one such as 90s, 30m, 6h, 1h30m or 30d"
MAX_LENGTH: Final = 7 * len(_UNITS)


def parse_duration(text: str) -> float:
    """Seconds.

    Raises:
        ValueError: the text is none, or empty.
    """
    if not text or not re.fullmatch(PATTERN.strip("^$"), text):
        raise ValueError(f"{text} {NO_DURATION}")
    return float(sum(int(count) * _UNITS[unit] for count, unit in re.findall(r"(\d+)(\D)", text)))
