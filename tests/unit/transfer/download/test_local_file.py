"""The temporary file of a download where the disk does not take it."""

import os
from pathlib import Path

import pytest

from ocihaul.errors import LocalFileError
from ocihaul.transfer.download import local_file
from ocihaul.transfer.download.local_file import LocalFile
from tests.support import place_of


def refused(path: Path, *, keep: bool) -> LocalFileError:
    with place_of(path) as place, LocalFile(place, ".half") as file:
        with pytest.raises(LocalFileError) as caught:
            file.reserve(1000, keep=keep)
        assert (place.status(".half") is not None) is keep
        place.remove(".half")
    return caught.value


@pytest.mark.parametrize(
    ("number", "what"), [(28, "has no room for 1000 bytes: No space"), (5, "cannot be written: In")]
)
def test_what_keeps_space_from_being_taken_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, what: str
) -> None:
    def preallocate(descriptor: int, size: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(local_file, "preallocate", preallocate)
    error = refused(tmp_path / "f", keep=False)
    assert f"{tmp_path} {what}" in error.message
    assert str(error.hint).startswith("Nothing was fetched.")
    assert not error.resumable
    error = refused(tmp_path / "f", keep=True)
    assert f"{tmp_path} {what}" in error.message
    assert "it goes on with what is there" in str(error.hint)
    assert "Nothing was fetched" not in str(error.hint)
    assert error.resumable
