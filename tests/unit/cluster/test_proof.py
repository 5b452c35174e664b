"""How a worker shows that it sees the same files."""

import os
from pathlib import Path

import pytest

from ocihaul.cluster.workers import FileProof, proved, sees_directory
from ocihaul.errors import LocalFileError

MIB = 2**20


@pytest.mark.parametrize("size", [0, 1, MIB, 3 * MIB + 1])
def test_the_same_file_is_the_same(tmp_path: Path, size: int) -> None:
    file = tmp_path / "file"
    file.write_bytes(os.urandom(size))
    proof = FileProof.of(str(file))
    assert (proof.size, proof.difference()) == (size, None)


@pytest.mark.parametrize(
    ("at", "reason"),
    [
        (0, "other bytes"),
        (MIB - 1, "other bytes"),
        (2 * MIB, "other bytes"),
        (3 * MIB - 1, "other"),
    ],
)
def test_a_byte_of_either_end_makes_another_file(tmp_path: Path, at: int, reason: str) -> None:
    file = tmp_path / "file"
    data = bytearray(os.urandom(3 * MIB))
    file.write_bytes(data)
    proof = FileProof.of(str(file))
    data[at] ^= 1
    file.write_bytes(data)
    os.utime(file, ns=(proof.mtime_ns, proof.mtime_ns))
    assert reason in str(proof.difference())


def test_the_middle_is_not_looked_at(tmp_path: Path) -> None:
    """It would be read twice: docs/dask.md says what that means."""
    file = tmp_path / "file"
    data = bytearray(os.urandom(3 * MIB))
    file.write_bytes(data)
    proof = FileProof.of(str(file))
    data[MIB + 5] ^= 1
    file.write_bytes(data)
    os.utime(file, ns=(proof.mtime_ns, proof.mtime_ns))
    assert proof.difference() is None


def test_a_directory_is_proved_by_what_is_in_it_for_a_while(tmp_path: Path) -> None:
    with proved(str(tmp_path)) as proof:
        assert proof.difference() is None
        (tmp_path / proof.name).write_text("something else")
        assert "another directory" in str(proof.difference())
        (tmp_path / proof.name).unlink()
        assert "another directory" in str(proof.difference())
    assert not list(tmp_path.iterdir())
    with pytest.raises(LocalFileError), proved(str(tmp_path / "nowhere")):
        pass


def test_what_a_killed_driver_has_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    with proved(str(tmp_path)) as proof:
        old = (tmp_path / f".{'0' * 16}.ocihaul", tmp_path / f".{'1' * 16}.ocihaul")
        old[0].write_text(proof.text)
        old[1].write_text("the bytes of a download")
        for each in old:
            os.utime(each, (1, 1))
        with proved(str(tmp_path)) as other:
            assert {each.name for each in tmp_path.iterdir()} == {
                *(proof.name, other.name, old[1].name)
            }


def test_a_directory_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    assert sees_directory(str(tmp_path)) is None
    assert "cannot be read" in str(sees_directory(str(tmp_path / "nowhere")))


def test_a_proof_that_cannot_be_written_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(path: Path, text: str, encoding: str) -> int:
        path.write_bytes(text[:5].encode(encoding))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", half)
    with pytest.raises(LocalFileError, match="No space left") as caught, proved(str(tmp_path)):
        pass
    assert "Check the space" in str(caught.value.hint)
    assert list(tmp_path.iterdir()) == []
