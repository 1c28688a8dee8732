"""How the data of an archive is written; apart, as who reads archives needs no schema."""

from typing import Final

FORMAT: Final = "json+gzip"
# An object in etcd has at most 1.5 MiB, and metadata comes on top.
MAX_DATA: Final = 900_000  # characters of base64
