"""The address of a scheduler, as it is given or as its file has it."""

from pathlib import Path

import pytest

from ocihaul.cluster.connect import ClusterAddress, connected
from ocihaul.errors import UsageError


def refusal(path: Path | str) -> UsageError:
    with pytest.raises(UsageError) as caught, connected(ClusterAddress(str(path))):
        pass
    return caught.value


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        (b"", "not JSON"),
        (b"[" * 100_000, "nested deeper"),
        (b'{"address": null}', "address is null, not a text"),
        (b'{"address": 7}', "address is 7"),
        (b"\xff\xfe", "not text in UTF-8"),
        (b"[]", "not a JSON object"),
    ],
)
def test_a_file_that_is_no_schedulers(tmp_path: Path, written: bytes, reason: str) -> None:
    file = tmp_path / "scheduler.json"
    file.write_bytes(written)
    error = refusal(file)
    assert f"{file} is no scheduler file of Dask" in error.message
    assert reason in error.message
    assert "--scheduler-file" in str(error.hint)


def test_a_device_that_never_ends_is_read_so_far() -> None:
    assert "longer than" in refusal("/dev/zero").message


def test_what_is_neither_address_nor_file(tmp_path: Path) -> None:
    assert "allowed: tls://HOST:PORT" in refusal(tmp_path / "none").message
    assert "cannot be read: Is a directory" in refusal(tmp_path).message


def test_the_address_in_a_file_is_used(tmp_path: Path) -> None:
    file = tmp_path / "scheduler.json"
    file.write_text('{"type": "Scheduler", "address": "tcp://192.0.2.1:8786"}')
    assert "tcp://192.0.2.1:8786 is not encrypted" in refusal(file).message
