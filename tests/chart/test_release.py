"""What a release publishes has the commit's time, and no other, in it."""

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from hack import release
from hack.cluster.run import ClusterError

MOMENT = 1_700_000_000


def package(names: list[str], mtime: int, uid: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name in names:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime, entry.uid, entry.uname = 3, mtime, uid, f"u{uid}"
            tar.addfile(entry, io.BytesIO(b"abc"))
    return buffer.getvalue()


def test_a_package_does_not_tell_when_in_which_order_and_by_whom_it_was_made() -> None:
    once = release.restamp(package(["a", "b"], 1, 0), MOMENT)
    again = release.restamp(package(["b", "a"], 2, 1000), MOMENT)
    assert once == again
    assert once != release.restamp(package(["a", "b"], 1, 0), MOMENT + 1)
    with tarfile.open(fileobj=io.BytesIO(once)) as tar:
        assert [(entry.name, entry.mtime) for entry in tar] == [("a", MOMENT), ("b", MOMENT)]
        content = tar.extractfile("b")
        assert content is not None and content.read() == b"abc"


def test_a_release_is_made_of_a_commit(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=r"commit or stash these:\n M README\.md"):
        release.require_release(" M README.md", tmp_path)


def test_no_other_folder_is_replaced(tmp_path: Path) -> None:
    release.require_release("", tmp_path)
    release.require_release("", tmp_path / "new")
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ClusterError, match="holds something that is no release"):
        release.require_release("", tmp_path)
    (tmp_path / release.SUMS).touch()
    release.require_release("", tmp_path)


def test_sums_are_those_of_sha256sum(tmp_path: Path) -> None:
    (tmp_path / "b.whl").write_bytes(b"b")
    (tmp_path / "a.tgz").write_bytes(b"a")
    release.write_sums(tmp_path)
    assert (tmp_path / release.SUMS).read_text() == (
        f"{hashlib.sha256(b'a').hexdigest()}  a.tgz\n{hashlib.sha256(b'b').hexdigest()}  b.whl\n"
    )
