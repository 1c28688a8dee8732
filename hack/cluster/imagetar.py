"""Image archives of one static program, written without an engine (`docker save`'s format)."""

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}


def write(archive: Path, tags: Sequence[str], program: Path, *, below: bytes | None = None) -> None:
    """Write an image whose entry point is the program in /usr/local/bin.

    ``below`` is an uncompressed tar that becomes the layer below the program's. Times and owners
    are fixed, so that the same program gives the same image.
    """
    layers = [below] if below is not None else []
    layers.append(_layer(program))
    config = {
        "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": {
            "Entrypoint": [f"/usr/local/bin/{program.name}"],
            "Env": ["PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        },
        "rootfs": {
            "type": "layers",
            "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers],
        },
    }
    encoded = json.dumps(config).encode()
    config_name = f"{hashlib.sha256(encoded).hexdigest()}.json"
    names = [f"{hashlib.sha256(layer).hexdigest()}/layer.tar" for layer in layers]
    manifest = [{"Config": config_name, "RepoTags": list(tags), "Layers": names}]
    with tarfile.open(archive, "w") as tar:
        _add(tar, config_name, encoded)
        for name, layer in zip(names, layers, strict=True):
            _add(tar, name, layer)
        _add(tar, "manifest.json", json.dumps(manifest).encode())


def _layer(program: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for folder in ("usr", "usr/local", "usr/local/bin"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        _add(tar, f"usr/local/bin/{program.name}", program.read_bytes(), mode=0o755)
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: bytes, *, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, io.BytesIO(content))
