"""The kept right of an upload: how long it lasts, and that its file is a secret."""

import stat
from pathlib import Path

import pytest

from ocihaul.errors import JournalError
from ocihaul.transfer.upload.incomplete import ParStore, StoredPar, lifetime

DAY = 24 * 3600.0


@pytest.mark.parametrize(
    ("size", "rate", "seconds"),
    [
        (0, None, DAY),
        (10 * 2**30, 54e6, DAY),
        (180 * 10**9, None, 2 * 180e9 / 2**20),
        (10 * 2**40, 100e6, 2 * 10 * 2**40 / 100e6),
        (None, 100e6, 7 * DAY),
    ],
)
def test_the_right_lasts_for_twice_the_forecast_and_a_day_at_least(
    size: int | None, rate: float | None, seconds: float
) -> None:
    assert lifetime(size, rate) == seconds


def test_what_is_kept_is_private_and_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "par-1.json"
    access = StoredPar("id", 1e9, "upload", "/p/secret/n/ns/b/b/u/o/id/1/")
    ParStore(path).save(access)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert ParStore(path).load() == access
    assert "secret" not in repr(access)
    ParStore(path).remove()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"par_id": 1}'])
def test_a_spoilt_file_is_no_right(tmp_path: Path, text: str) -> None:
    path = tmp_path / "par-1.json"
    path.write_text(text)
    assert ParStore(path).load() is None


def test_a_directory_that_is_gone_is_told(tmp_path: Path) -> None:
    access = StoredPar("id", 1e9, "upload", "/p/secret/")
    with pytest.raises(JournalError) as caught:
        ParStore(tmp_path / "gone" / "par-1.json").save(access)
    assert "secret" not in str(caught.value)


def test_without_a_path_it_is_remembered_only(tmp_path: Path) -> None:
    kept = ParStore(None)
    kept.save(StoredPar("id", 1e9, "upload", "/p/secret/"))
    assert kept.load() is not None
    kept.remove()
    assert kept.load() is None
