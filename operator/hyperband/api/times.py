"""Times as objects have them, read and written in one way."""

from datetime import UTC, datetime


def moment(text: str | None) -> datetime | None:
    """With a zone: UTC is meant where a server has let a time through without one.

    Raises:
        ValueError: it is no time.
    """
    if not text:
        return None
    read = datetime.fromisoformat(text)
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def in_seconds(time: datetime) -> str:
    """A time of UTC as Kubernetes writes it, in whole seconds."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def timestamp(text: str | None) -> float | None:
    """The same in seconds since the epoch."""
    read = moment(text)
    return None if read is None else read.timestamp()
