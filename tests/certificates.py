"""Certificates of a test's own."""

import subprocess
from pathlib import Path


def self_signed(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate that is its own authority, and its key, in two files of that folder.

    Args:
        name: whom it is for, as an X.509 subjectAltName: `IP:127.0.0.1`, `DNS:localhost`.
    """
    certificate, key = folder / "tls.crt", folder / "tls.key"
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subject = ["-subj", "/CN=test", "-addext", f"subjectAltName={name}", "-days", "2"]
    subprocess.run(
        ["openssl", "req", "-x509", *kind, *subject, "-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )
    return certificate, key
