"""The examples of docs/library.md, as they stand there."""

import asyncio
import gzip
import io
import logging
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import ocihaul
from ocihaul.emulator import Fault
from tests.functional.directories import content, make
from tests.world import MIB, World

DOCUMENT = Path(__file__).parents[3] / "docs" / "library.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```", DOCUMENT.read_text(), re.DOTALL | re.MULTILINE)


def example(containing: str) -> str:
    (found,) = [text for text in EXAMPLES if containing in text]
    return str(found)


def test_a_session_in_two_lines(here: World, capsys: pytest.CaptureFixture[str]) -> None:
    exec(example("expires_at"), {"ocihaul": ocihaul})  # noqa: S102  the document's own text
    assert float(capsys.readouterr().out) > 0


def test_a_rejection_in_two_lines(here: World, capsys: pytest.CaptureFixture[str]) -> None:
    exec(example("session.handle_unauthorized"), {"ocihaul": ocihaul})  # noqa: S102  the document's own text
    assert capsys.readouterr().out == "True\n"
    assert here.refreshes() == 1


def test_a_status_in_two_lines(here: World, capsys: pytest.CaptureFixture[str]) -> None:
    exec(example("session.status"), {"ocihaul": ocihaul})  # noqa: S102  the document's own text
    assert capsys.readouterr().out == "1 None None False\n"


def test_a_client_in_three_lines(here: World, capsys: pytest.CaptureFixture[str]) -> None:
    names = {"ocihaul": ocihaul, "path": here.file(1000)}
    exec(example("client.list_objects"), names)  # noqa: S102  the document's own text
    assert capsys.readouterr().out == "['db.tar']\n"
    assert here.oci.log.count(operation="GetNamespace") == 1


def test_a_log_in_three_lines(here: World, caplog: pytest.LogCaptureFixture) -> None:
    names = {"ocihaul": ocihaul, "logging": logging, "path": here.file(1000, "db.tar")}
    with caplog.at_level(logging.INFO, "backup"):
        exec(example("log_events"), names)  # noqa: S102  the document's own text
    assert [line.partition("(")[0] for line in caplog.messages] == [
        "Notice",  # of the profile, whose `auth` is guessed
        "TokenChanged",
        "UploadPlanned",
        "UploadFinished",
    ]


def test_an_upload_in_a_task_ends_when_the_task_is_cancelled(here: World) -> None:
    names: dict[str, Any] = {"ocihaul": ocihaul, "asyncio": asyncio, "threading": threading}
    exec(example("async def upload"), names)  # noqa: S102  the document's own text
    path = str(here.file(1000))
    stall = here.oci.faults.add(Fault(operation="PutObject", stall_seconds=60, times=1))

    async def main(client: ocihaul.Client) -> int:
        task = asyncio.create_task(names["upload"](client, path))
        while not stall.fired:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        result = await names["upload"](client, str(here.file(1001, "other")))
        return int(result.size)

    with ocihaul.Client.from_profile() as client:
        assert asyncio.run(main(client)) == 1001
    assert stall.fired == 1


def test_an_upload_in_two_lines(here: World, capsys: pytest.CaptureFixture[str]) -> None:
    source = here.file(3 * MIB)
    exec(example("storage_tier"), {"ocihaul": ocihaul, "path": source})  # noqa: S102  the same
    assert here.arrived_whole(source)
    assert capsys.readouterr().out.splitlines()[-1].endswith(" 0")
    with pytest.raises(ocihaul.errors.ObjectExistsError):
        ocihaul.upload(source, "backups")
    again = ocihaul.upload(source, "backups", existing=ocihaul.IfExists.REPLACE, parallel=2)
    assert again.size == 3 * MIB


@pytest.mark.parametrize("kind", [Path, str])
def test_a_receipt_and_what_has_become_of_it(
    here: World, capsys: pytest.CaptureFixture[str], kind: type
) -> None:
    receipt = here.home / "r.json"
    names = {"ocihaul": ocihaul, "path": here.file(1000), "receipt_path": kind(receipt)}
    exec(example("ocihaul.verify"), names)  # noqa: S102  the document's own text
    assert capsys.readouterr().out == "True () ()\n"
    here.file(1001)
    here.oci.put_object("backups", "backup.tar", b"another")
    found = ocihaul.verify(here.home / "r.json", file=here.home / "backup.tar")
    assert not found.good
    assert found.object is not None
    assert found.object.found
    with pytest.raises(ocihaul.errors.ReceiptError):
        ocihaul.verify(here.home / "backup.tar", stored=False)


def test_a_download_in_two_lines(
    here: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    here.oci.put_object("backups", "backup.tar", b"what is in it", algorithm="CRC32C")
    exec(example("ocihaul.download("), {"ocihaul": ocihaul})  # noqa: S102  the document's own text
    assert capsys.readouterr().out == "CRC32C 13\n"
    assert (tmp_path / "copy.tar").read_bytes() == b"what is in it"
    stream = io.BytesIO()
    ocihaul.download("backups", "backup.tar", stream, adaptive=True, listener=here.heard)
    assert stream.getvalue() == b"what is in it"


def test_a_directory_in_four_lines(
    here: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = make(tmp_path / "source", "a", "b/c", "x.tmp")
    monkeypatch.chdir(make(tmp_path / "here", "photos/gone"))
    given = {"ocihaul": ocihaul, "directory": source}
    exec(example("ocihaul.upload_directory"), given)  # noqa: S102  the document's own text
    assert capsys.readouterr().out == "True 2 0 4 {}\nTrue 2 1\n"
    assert here.oci.object_names("backups") == ["photos/a", "photos/b/c"]
    assert content(tmp_path / "here" / "photos") == {"a": b"a", "b/": b"", "b/c": b"b/c"}


def test_a_stream_in_two_lines(here: World, tmp_path: Path) -> None:
    with gzip.open(tmp_path / "x.gz", "wb") as packed:
        packed.write(b"unpacked on the way")
    given = {"ocihaul": ocihaul, "gzip": gzip, "path": tmp_path / "x.gz"}
    exec(example("gzip.open"), given)  # noqa: S102  the document's own text
    assert here.oci.read_object("backups", "backup.tar") == b"unpacked on the way"
    for stream, name in ((io.BytesIO(b"x"), None), (io.StringIO("x"), "text")):
        with pytest.raises(ocihaul.errors.UsageError, match="binary file object"):
            ocihaul.upload(stream, "backups", name)  # type: ignore[arg-type]  # that is the test


def test_a_session_knows_its_profiles_region_and_tells_its_events(here: World) -> None:
    session = ocihaul.Session.from_profile(config_file=here.config, listener=here.heard)
    assert session.region == "eu-frankfurt-1"
    assert here.sources() == ["start"]
    with pytest.raises(ocihaul.errors.ConfigError):
        ocihaul.Session.from_profile("NOBODY")


def test_the_public_names_are_what_they_say() -> None:
    for name in ocihaul.__all__:
        assert getattr(ocihaul, name) is not None
    assert set(ocihaul.__all__) <= set(dir(ocihaul))
    with pytest.raises(AttributeError, match="nonsense"):
        _ = ocihaul.nonsense  # type: ignore[attr-defined]  # that is the test


def test_importing_the_package_imports_nothing_of_it() -> None:
    code = "import sys, ocihaul; print(*[m for m in sys.modules if m.startswith('ocihaul')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["ocihaul"]
