"""TLS from the files of a Secret, read again when they are renewed."""

import asyncio
import logging
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

POLL: Final = 10.0  # seconds; a kubelet takes a minute to bring a renewed Secret


class CertificateError(Exception):
    """The files are no certificate with its key; the message says so."""


@dataclass(frozen=True, slots=True)
class Files:
    """A certificate, with those between it and its authority, and its key."""

    certificate: Path
    key: Path

    @property
    def _stamp(self) -> tuple[int, int]:
        return self.certificate.stat().st_mtime_ns, self.key.stat().st_mtime_ns

    def context(self) -> ssl.SSLContext:
        """For a server.

        Raises:
            CertificateError: they cannot be read.
        """
        made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._load(made)
        return made

    def _load(self, context: ssl.SSLContext) -> None:
        try:
            context.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as error:
            said = f"{self.certificate} and {self.key} cannot be used ({error})"
            raise CertificateError(f"{said}: give a PEM certificate and its key") from error

    async def renew(self, context: ssl.SSLContext) -> None:
        """Reads them again whenever they have changed, until cancelled.

        Connections that begin from then on are served with them.
        """
        seen = self._stamp
        while True:
            await asyncio.sleep(POLL)
            try:
                now = self._stamp
                if now != seen:
                    self.context()  # what a context does not take leaves it without a key
                    self._load(context)
                    seen = now
                    log.info("the certificate has been read again")
            except (OSError, CertificateError) as error:
                log.warning("the old certificate stays: %s", error)
