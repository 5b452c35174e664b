"""The options of `os object get`: what they become, and what is refused."""

import base64
import json
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Command, FakeDownload

MIB = 1024 * 1024
START = ("os", "object", "get", "-bn", "b", "--name", "x", "--auth", "security_token")


@pytest.fixture
def get(ocihaul: Command, home: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run it in the home directory."""
    monkeypatch.chdir(home)
    return lambda *options: ocihaul(*START, *options)


@pytest.mark.parametrize(
    ("options", "field", "value"),
    [
        ((), "namespace", ""),
        ((), "part_size", None),
        ((), "threshold", None),
        ((), "parallel", 10),
        ((), "multipart", True),
        ((), "verify", True),
        ((), "restore", False),
        ((), "byte_range", None),
        ((), "response_headers", {}),
        (("-ns", "n"), "namespace", "n"),
        (("--version-id", "v"), "version_id", "v"),
        (("--if-match", "e"), "if_match", "e"),
        (("--if-none-match", "e"), "if_none_match", "e"),
        (("--range", "bytes=2-10"), "byte_range", "bytes=2-10"),
        (("--part-size", 256), "part_size", 256 * MIB),
        (("--part-size", "10000000B"), "part_size", 10_000_000),
        (("--part-size", "7 mb"), "part_size", 7_000_000),
        (("--part-size", "3KiB"), "part_size", 3072),
        (("--part-size", "2GiB"), "part_size", 2048 * MIB),
        (("--multipart-download-threshold", 512), "threshold", 512 * MIB),
        (("--parallel-download-count", 3), "parallel", 3),
        (("--parallel-download-count", "auto"), "adaptive", True),
        (("--no-multipart",), "multipart", False),
        (("--no-verify-checksum",), "verify", False),
        (("--restart",), "restart", True),
        (("--no-wait",), "wait", False),
        (("--restore",), "restore", True),
        (("--restore",), "restore_hours", None),
        (("--restore", 48), "restore_hours", 48),
        (("--restore", "--no-wait"), "restore", True),
    ],
)
def test_options_become_fields(
    get: Command,
    fake_download: FakeDownload,
    options: tuple[object, ...],
    field: str,
    value: object,
) -> None:
    outcome = get("--file", "out", *options)
    assert (outcome.code, outcome.out) == (0, ""), outcome.err
    [request] = fake_download.requests
    assert getattr(request, field) == value
    assert request.target == Path("out")
    assert (request.bucket, request.name) == ("b", "x")


def test_response_headers_go_by_the_names_of_the_api(
    ocihaul: Command, fake_download: FakeDownload, home: Path
) -> None:
    names = ["disposition", "type", "language", "encoding"]
    flags = [f"--http-response-content-{name}" for name in names]
    flags += ["--http-response-cache-control", "--http-response-expires"]
    options = [part for number, flag in enumerate(flags) for part in (flag, str(number))]
    assert ocihaul(*START, "--file", home / "out", *options).code == 0
    assert fake_download.requests[0].response_headers == {
        "ContentDisposition": "0",
        "ContentType": "1",
        "ContentLanguage": "2",
        "ContentEncoding": "3",
        "CacheControl": "4",
        "Expires": "5",
    }


def test_a_customers_key_is_read_and_not_shown(
    ocihaul: Command, fake_download: FakeDownload, home: Path
) -> None:
    key = base64.b64encode(bytes(range(32))).decode()
    (home / "key").write_text(key)
    assert ocihaul(*START, "--file", home / "out", "--encryption-key-file", home / "key").code == 0
    [request] = fake_download.requests
    assert request.sse_customer_key is not None
    assert request.sse_customer_key.base64_key == key
    assert key not in repr(request)


def test_options_from_a_document(ocihaul: Command, fake_download: FakeDownload, home: Path) -> None:
    document = {"bucketName": "b", "name": "x", "file": str(home / "out"), "partSize": 200}
    outcome = ocihaul("os", "object", "get", "--from-json", json.dumps(document))
    assert outcome.code == 0, outcome.err
    assert fake_download.requests[0].part_size == 200 * MIB


def test_stdout_is_a_stream(ocihaul: Command, fake_download: FakeDownload) -> None:
    outcome = ocihaul(*START, "--file", "-")
    assert outcome.code == 0, outcome.err
    assert hasattr(fake_download.requests[0].target, "write")


@pytest.mark.parametrize("option", ["part_size", "multipart_download_threshold"])
@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("10", 10 * MIB),
        ("10M", 10 * MIB),
        ("10mib", 10 * MIB),
        ("1.5G", 1536 * MIB),
        ("50MB", 50_000_000),
        ("20 m", 20 * MIB),
        ("12345678B", 12_345_678),
    ],
)
def test_finding_d11_a_size_may_have_its_unit_and_a_bare_number_is_mib(
    get: Command, fake_download: FakeDownload, option: str, text: str, size: int
) -> None:
    assert get("--file", "out", f"--{option.replace('_', '-')}", text).code == 0
    field = {"multipart_download_threshold": "threshold"}.get(option, option)
    assert getattr(fake_download.requests[0], field) == size


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--file", "."), "directory"),
        (("--file", "missing/out"), "no directory"),
        (("--file", "-", "--restart"), "--restart"),
        (("--file", "-", "--no-wait"), "--no-wait"),
        (("--file", "out", "--part-size", "0"), "--part-size"),
        (("--file", "out", "--part-size", "0B"), "no size"),
        (("--file", "out", "--part-size", "10X"), "no size"),
        (("--file", "out", "--part-size", "1.5.5MB"), "--part-size"),
        (("--file", "out", "--part-size", "-5B"), "--part-size"),
        (("--file", "out", "--restore", "0"), "--restore"),
        (("--file", "out", "--parallel-download-count", "1001"), "--parallel-download-count"),
        ((), "--file"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_done(
    get: Command, fake_download: FakeDownload, options: tuple[str, ...], says: str
) -> None:
    outcome = get(*options)
    assert outcome.code == 2
    assert says in outcome.err
    assert fake_download.requests == []
