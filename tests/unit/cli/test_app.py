"""The command as a whole: version, help, exit codes, errors as text."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ocihaul import __version__
from ocihaul.cli import app
from ocihaul.errors import (
    ChecksumError,
    NetworkError,
    ObjectExistsError,
    OcihaulError,
    RenewalUnavailable,
    ServiceError,
    SessionExpiredError,
    SourceError,
    TransferCancelled,
    UploadIncompleteError,
)

from .conftest import HEADERS, Command, FakeCore, result

TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJlc2lnbmF0dXJl"


def service_error(status: int = 404, code: str | None = "BucketNotFound") -> ServiceError:
    return ServiceError(
        status=status,
        code=code,
        message="Either the bucket does not exist or you are not authorized",
        operation="HeadObject",
        headers={"opc-request-id": "fra-1:abc"},
    )


def failing(fake: FakeCore, error: BaseException) -> None:
    def act(**_: Any) -> Any:
        raise error

    fake.act = act


def test_the_version_is_told(ocihaul: Command) -> None:
    outcome = ocihaul("--version")
    assert (outcome.code, outcome.out) == (0, f"ocihaul {__version__}\n")


@pytest.mark.untraced
def test_the_version_loads_nothing_heavy() -> None:
    code = (
        "import sys; from ocihaul.cli.app import run; run(['--version'])\n"
        "heavy = {'rich', 'jmespath', 'cryptography', 'urllib3', 'ssl', 'sqlite3', 'h11', 'jwt'}\n"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_entry_point_exits_with_the_status() -> None:
    begin = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", "from ocihaul.cli import main; main(['os', 'object', 'nonsense'])"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "no command 'nonsense'" in done.stderr
    assert "pip install 'oci-cli" in done.stderr
    assert done.stdout == ""
    assert time.monotonic() - begin < 10


@pytest.mark.parametrize(
    "argv", [[], ["os"], ["os", "object"], ["--help"], ["os", "object", "put", "-?"]]
)
def test_help_goes_to_stdout_and_is_no_failure(ocihaul: Command, argv: list[str]) -> None:
    outcome = ocihaul(*argv)
    assert outcome.code == 0
    assert outcome.out.startswith("Usage: ocihaul")


def test_the_emulator_gets_its_arguments_as_they_are(
    ocihaul: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    got: list[list[str]] = []

    def emulate(args: list[str]) -> int:
        got.append(args)
        return 3

    monkeypatch.setattr(app, "run_emulator", emulate)
    assert ocihaul("emulator", "--token-ttl", "20", "--help", "-x").code == 3
    assert got == [["--token-ttl", "20", "--help", "-x"]]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (service_error(), 1),
        (SourceError("it shrank"), 1),
        (ChecksumError("differs"), 1),
        (SessionExpiredError("over"), 75),
        (NetworkError("cut"), 75),
        (RenewalUnavailable("auth is down"), 75),
        (UploadIncompleteError("stopped", upload_id="u", resumable=True), 75),
        (UploadIncompleteError("stopped", upload_id="u", resumable=False), 1),
        (TransferCancelled("stopped"), 130),
        (KeyboardInterrupt(), 130),
        (RuntimeError("a bug"), 1),
    ],
)
def test_every_error_has_its_exit_code_and_no_traceback(
    put: Command, fake: FakeCore, error: BaseException, code: int
) -> None:
    failing(fake, error)
    outcome = put()
    assert outcome.code == code
    assert "Traceback" not in outcome.err
    assert outcome.out == ""


def test_an_upload_stopped_by_a_signal_exits_as_interrupted_and_says_how_to_go_on(
    put: Command, fake: FakeCore
) -> None:
    stopped = UploadIncompleteError("the upload was stopped", upload_id="u", resumable=True)
    stopped.__cause__ = TransferCancelled("SIGTERM arrived")
    failing(fake, stopped)
    outcome = put()
    assert outcome.code == 130
    assert "Error: the upload was stopped\nReason: SIGTERM arrived" in outcome.err
    assert "Run the same command again." in outcome.err


def test_a_service_error_has_the_stock_block_and_the_cure(put: Command, fake: FakeCore) -> None:
    failing(fake, service_error())
    outcome = put()
    result, block = outcome.err.split("\n", 1)
    assert "bucket/backup.tar: RESULT failed" in result
    assert block.startswith('ServiceError:\n{\n    "client_version": "ocihaul/')
    assert block.endswith("}\n")
    for line in (
        '"code": "BucketNotFound"',
        '"opc-request-id": "fra-1:abc"',
        '"operation_name": "HeadObject"',
        '"status": 404',
    ):
        assert line in outcome.err
    assert "Check --bucket-name, --namespace and --region." in outcome.err


def test_the_service_error_behind_a_stopped_upload_is_shown(put: Command, fake: FakeCore) -> None:
    stopped = UploadIncompleteError("part 7 failed", upload_id="u", resumable=True)
    stopped.__cause__ = service_error(503, "ServiceUnavailable")
    failing(fake, stopped)
    outcome = put()
    assert outcome.code == 75
    assert '"status": 503' in outcome.err
    assert "Error: part 7 failed" in outcome.err


def test_a_hint_of_the_core_is_shown(put: Command, fake: FakeCore) -> None:
    failing(fake, SessionExpiredError("the session has expired", hint="oci session authenticate"))
    assert "Error: the session has expired\noci session authenticate\n" in put().err


def test_debug_shows_the_traceback_without_its_secrets(put: Command, fake: FakeCore) -> None:
    failing(fake, RuntimeError(f"keyId ST${TOKEN}"))
    assert TOKEN not in put().err
    outcome = put("--debug")
    assert "Traceback" in outcome.err
    assert "[redacted]" in outcome.err
    assert TOKEN not in outcome.err


def test_a_proxy_password_is_not_shown(put: Command) -> None:
    outcome = put("--proxy", "http://me:hunter2@proxy:1", "--frobnicate")
    assert "hunter2" not in outcome.err


def test_an_existing_object_is_kept_with_success(put: Command, fake: FakeCore) -> None:
    failing(fake, ObjectExistsError("the object exists"))
    outcome = put("--no-overwrite")
    assert outcome.code == 0
    assert outcome.out == ""
    kept, result = outcome.err.splitlines()
    assert kept.endswith("bucket/backup.tar: The object already exists and was not overwritten")
    assert "bucket/backup.tar: RESULT kept" in result
    assert result.endswith("exit 0")


def test_an_existing_object_without_a_terminal_says_which_flags_decide(
    put: Command, fake: FakeCore
) -> None:
    asked: list[Any] = []

    def act(**given: Any) -> Any:
        asked.append(given["confirm"])
        raise ObjectExistsError("the object backup.tar exists already")

    fake.act = act
    outcome = put()
    assert outcome.code == 1
    assert len(asked) == 1
    assert "the object backup.tar exists already" in outcome.err
    assert "--force" in outcome.err
    assert "--no-overwrite" in outcome.err


def test_the_answer_is_the_stock_json_key_for_key(put: Command) -> None:
    assert put().out == (
        "{\n"
        '  "etag": "9f-1",\n'
        '  "last-modified": "Mon, 23 Nov 2026 05:02:47 GMT",\n'
        '  "opc-multipart-md5": "CY9rzUYh03PK3k6DJie09g==-2"\n'
        "}\n"
    )


def test_a_query_picks_and_raw_output_drops_the_quotes(put: Command) -> None:
    assert put("--query", "etag").out == '"9f-1"\n'
    assert put("--query", "etag", "--raw-output").out == "9f-1\n"
    assert put("--query", '"last-modified"', "--output", "table").out.startswith("+----")


def test_a_named_query_comes_from_the_rc_file(put: Command, home: Path) -> None:
    (home / ".oci" / "oci_cli_rc").write_text("[OCI_CLI_CANNED_QUERIES]\ntag=etag\n")
    assert put("--query", "query://tag", "--raw-output").out == "9f-1\n"


def test_an_empty_query_result_is_said_on_stderr(put: Command) -> None:
    outcome = put("--query", "nothing")
    assert (outcome.code, outcome.out) == (0, "")
    assert "Query returned empty result, no output to show." in outcome.err


@pytest.mark.parametrize(
    ("md5", "said"),
    [
        ("other-2", "md5 checksum does not match [Local: other-2]"),
        (None, "md5 checksum could not be verified"),
    ],
)
def test_a_checksum_that_is_not_verified_is_a_failure(
    put: Command, fake: FakeCore, md5: str | None, said: str
) -> None:
    fake.act = lambda **_: result(md5=md5)
    outcome = put("--verify-checksum")
    assert outcome.code == 1
    assert said in outcome.err
    assert put().code == 0  # nobody asked


def test_the_checksum_of_a_single_put_is_compared_with_its_own_header(
    put: Command, fake: FakeCore
) -> None:
    headers = {**HEADERS, "opc-content-md5": "x=="}
    fake.act = lambda **_: result(headers=headers, md5="x==")
    assert "md5 checksum matches [Local: x==]" in put("--verify-checksum").err


def test_the_notices_of_the_configuration_come_first(put: Command, home: Path) -> None:
    (home / ".oci" / "token").chmod(0o644)
    outcome = put()
    assert "bucket/backup.tar: Notice: " in outcome.err.splitlines()[0]
    assert "chmod 600" in outcome.err


def test_an_unexpected_error_asks_for_a_report(put: Command, fake: FakeCore) -> None:
    failing(fake, RuntimeError("boom"))
    outcome = put()
    assert "Error: RuntimeError: boom" in outcome.err
    assert "--debug" in outcome.err


def test_an_error_without_hint_is_one_line(put: Command, fake: FakeCore) -> None:
    failing(fake, OcihaulError("no luck"))
    result, error = put().err.splitlines()
    assert "RESULT failed" in result
    assert error == "Error: no luck"


def test_a_user_without_a_home_gets_an_error_and_not_a_traceback(
    ocihaul: Command, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nowhere)
    outcome = ocihaul("os", "object", "put", "-bn", "b", "--file", home / "backup.tar")
    assert outcome.code == 1
    assert "there is no configuration file ~/.oci/config" in outcome.err


@pytest.mark.parametrize(("option", "code"), [("--help", 0), ("--nonsense", 2)])
def test_the_emulators_own_options_have_their_own_status(
    ocihaul: Command, option: str, code: int
) -> None:
    assert ocihaul("emulator", option).code == code


def test_the_emulator_without_its_extra_says_what_to_install(
    ocihaul: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ocihaul.integrations.extras.find_spec", lambda _: None)
    outcome = ocihaul("emulator", "--help")
    assert outcome.code == 2
    assert "the emulator needs the package 'jwt'" in outcome.err
    assert "pip install 'pyjwt" in outcome.err.lower()
    assert "trustme" in outcome.err
