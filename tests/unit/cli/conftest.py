"""The command line with a home of its own and a fake core behind the one seam."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ocihaul.cli import app, client
from ocihaul.config import Settings
from ocihaul.transfer.download.request import DownloadRequest, DownloadResult
from ocihaul.transfer.upload.request import UploadRequest, UploadResult

HEADERS = {
    "etag": "9f-1",
    "last-modified": "Mon, 23 Nov 2026 05:02:47 GMT",
    "opc-multipart-md5": "CY9rzUYh03PK3k6DJie09g==-2",
    "opc-request-id": "fra-1:abc",
    "date": "Mon, 23 Nov 2026 05:02:47 GMT",
}


def result(**changes: Any) -> UploadResult:
    """What the core gives back when all went well."""
    values: dict[str, Any] = {
        "headers": HEADERS,
        "size": 5,
        "part_count": 1,
        "upload_id": None,
        "crc32c": None,
        "md5": HEADERS["opc-multipart-md5"],
        "bytes_sent": 5,
        "bytes_resent": 0,
        "seconds": 0.1,
    }
    return UploadResult(**values | changes)


@dataclass
class FakeCore:
    """Remembers what it was asked for; `act` is what it does then."""

    settings: list[Settings] = field(default_factory=list)
    requests: list[UploadRequest] = field(default_factory=list)
    act: Callable[..., UploadResult] = lambda **_: result()

    def __call__(self, settings: Settings, request: UploadRequest, **extra: Any) -> UploadResult:
        self.settings.append(settings)
        self.requests.append(request)
        return self.act(request=request, **extra)


@dataclass
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str


Command = Callable[..., Outcome]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with one session profile (`night`) and a file to upload."""
    for name in list(os.environ):
        if name.startswith(("OCI", "REQUESTS_CA", "CURL_CA")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TZ", "UTC")
    oci = tmp_path / ".oci"
    oci.mkdir()
    (oci / "config").write_text(
        "[DEFAULT]\nregion=eu-frankfurt-1\n"
        "key_file=~/.oci/key.pem\nsecurity_token_file=~/.oci/token\n"
    )
    for name in ("config", "key.pem", "token"):
        (oci / name).touch()
        (oci / name).chmod(0o600)
    (tmp_path / "backup.tar").write_bytes(b"12345")
    return tmp_path


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeCore:
    """The core, replaced."""
    double = FakeCore()
    monkeypatch.setattr(client, "run_upload", double)
    return double


@dataclass
class FakeDownload:
    """Remembers what it was asked to download."""

    requests: list[DownloadRequest] = field(default_factory=list)

    def __call__(self, _: Settings, request: DownloadRequest, **__: Any) -> DownloadResult:
        self.requests.append(request)
        return DownloadResult(
            headers={},
            size=5,
            part_count=1,
            bytes_received=5,
            crc32c="AAAAAA==",
            checked_by="CRC32C",
            seconds=0.1,
        )


@pytest.fixture
def fake_download(monkeypatch: pytest.MonkeyPatch) -> FakeDownload:
    """The core's other direction, replaced."""
    double = FakeDownload()
    monkeypatch.setattr(client, "run_download", double)
    return double


@pytest.fixture
def ocihaul(home: Path, fake: FakeCore, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command line."""

    def command(*argv: object) -> Outcome:
        code = app.run([str(each) for each in argv])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return command


@pytest.fixture
def put(ocihaul: Command, home: Path) -> Command:
    """Run `os object put` on the home's file with more options."""

    def command(*options: object) -> Outcome:
        start = ("os", "object", "put", "-bn", "bucket", "--auth", "security_token")
        return ocihaul(*start, "--file", home / "backup.tar", *options)

    return command
