"""The options of `os object put`: what they become, and what is refused."""

import base64
import hashlib
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from ocihaul.transfer.upload.request import IfExists
from tests.unit.cli.conftest import Command, FakeCore

MIB = 1024 * 1024
SSE_KEY = base64.b64encode(bytes(range(32))).decode()


def test_the_command_of_the_report_is_taken_flag_for_flag(
    ocihaul: Command, fake: FakeCore, home: Path
) -> None:
    outcome = ocihaul(
        "os", "object", "put",
        "--bucket-name", "nightly", "--namespace", "ns",
        "--file", home / "backup.tar", "--name", "backup.tar",
        "--storage-tier", "Archive", "--no-overwrite", "--part-size", 128,
        "--parallel-upload-count", 15, "--verify-checksum",
        "--auth", "security_token", "--region", "eu-frankfurt-1", "--debug",
    )  # fmt: skip
    assert outcome.code == 0
    [request], [settings] = fake.requests, fake.settings
    assert request.source == home / "backup.tar"
    assert (request.namespace, request.bucket, request.name) == ("ns", "nightly", "backup.tar")
    assert request.storage_tier == "Archive"
    assert request.existing is IfExists.KEEP
    assert request.part_size == 128 * MIB
    assert request.parallel == 15
    assert request.verify_checksum
    assert settings.auth == "security_token"
    assert settings.region == "eu-frankfurt-1"
    assert "md5 checksum matches [Local: CY9rzUYh03PK3k6DJie09g==-2]" in outcome.err


def test_without_options_the_defaults_are_those_of_the_stock_cli(
    put: Command, fake: FakeCore
) -> None:
    assert put().code == 0
    [request] = fake.requests
    assert request.name == "backup.tar"
    assert request.namespace == ""
    assert request.existing is IfExists.ASK
    assert request.multipart
    assert request.part_size is None
    assert request.parallel == 10
    assert request.content_type is None
    assert request.metadata == {}


@pytest.mark.parametrize(
    ("options", "field", "value"),
    [
        (["-ns", "a"], "namespace", "a"),
        (["--namespace-name", "a.b-c_1"], "namespace", "a.b-c_1"),
        (["--name", "日本/x"], "name", "日本/x"),
        (["--name", ""], "name", "backup.tar"),
        (["--if-match", "e"], "if_match", "e"),
        (["--content-md5", "CY9rzUYh03PK3k6DJie09g=="], "content_md5", "CY9rzUYh03PK3k6DJie09g=="),
        (["--opc-checksum-algorithm", "crc32c"], "checksum_algorithm", "CRC32C"),
        (["--opc-content-crc32c", "c"], "content_crc32c", "c"),
        (["--opc-content-sha256", "c"], "content_sha256", "c"),
        (["--opc-content-sha384", "c"], "content_sha384", "c"),
        (["--content-type", "text/plain"], "content_type", "text/plain"),
        (["--content-type", "auto"], "content_type", "application/x-tar"),
        (["--content-language", "ja"], "content_language", "ja"),
        (["--content-encoding", "gzip"], "content_encoding", "gzip"),
        (["--content-disposition", "inline"], "content_disposition", "inline"),
        (["--cache-control", "no-store"], "cache_control", "no-store"),
        (["--storage-tier", "infrequentaccess"], "storage_tier", "InfrequentAccess"),
        (["--opc-sse-kms-key-id", "ocid1.key"], "kms_key_id", "ocid1.key"),
        (["--force"], "existing", IfExists.REPLACE),
        (["--no-overwrite"], "existing", IfExists.KEEP),
        (["--no-multipart"], "multipart", False),
        (["--disable-parallel-uploads"], "parallel", 1),
        (["--parallel-upload-count", "1000"], "parallel", 1000),
        (["--verify-checksum"], "verify_checksum", True),
        (["--metadata", '{"Key": "v", "opc-meta-x": "y"}'], "metadata", {"key": "v", "x": "y"}),
    ],
)
def test_every_option_reaches_the_request(
    put: Command, fake: FakeCore, options: list[str], field: str, value: object
) -> None:
    assert put(*options).code == 0
    assert getattr(fake.requests[0], field) == value


def test_an_sse_c_key_is_read_and_never_shown(put: Command, fake: FakeCore, home: Path) -> None:
    (home / "aes").write_text(SSE_KEY + "\n")
    outcome = put("--encryption-key-file", "~/aes", "--debug")
    key = fake.requests[0].sse_customer_key
    assert key is not None
    assert key.base64_key == SSE_KEY
    assert SSE_KEY not in repr(fake.requests) + outcome.out + outcome.err


def test_metadata_can_stand_in_a_file(put: Command, fake: FakeCore, home: Path) -> None:
    (home / "m.json").write_text('{"a": "b"}')
    assert put("--metadata", "file://~/m.json").code == 0
    assert fake.requests[0].metadata == {"a": "b"}


# --- from-json and the rc file ----------------------------------------------------------------


@pytest.mark.parametrize("in_file", [False, True])
def test_options_come_from_json_and_flags_win(
    ocihaul: Command, fake: FakeCore, home: Path, in_file: bool
) -> None:
    document: dict[str, Any] = {
        "bucketName": "from-json",
        "file": str(home / "backup.tar"),
        "partSize": 64,
        "noOverwrite": True,
        "metadata": {"a": "b"},
        "storageTier": "archive",
        "name": "loses",
        "ns": "short",
        "cacheControl": None,
    }
    text = json.dumps(document)
    if in_file:
        (home / "in.json").write_text(text)
        text = "file://~/in.json"
    outcome = ocihaul(
        *("os", "object", "put", "--from-json", text, "--name", "wins"),
        *("--auth", "security_token"),
    )
    assert outcome.code == 0
    [request] = fake.requests
    assert (request.bucket, request.name, request.namespace) == ("from-json", "wins", "short")
    assert request.part_size == 64 * MIB
    assert request.existing is IfExists.KEEP
    assert request.metadata == {"a": "b"}
    assert request.storage_tier == "Archive"


def test_options_come_from_the_rc_file_and_flags_win(
    ocihaul: Command, fake: FakeCore, home: Path
) -> None:
    (home / ".oci" / "oci_cli_rc").write_text(
        "[DEFAULT]\nauth=security_token\nos.bn=from-rc\nos.object.put.part-size=32\n"
        "os.object.verify-checksum=true\nnamespace=rc-ns\nparallel-upload-count=3\n"
        "output=table\n"
    )
    outcome = ocihaul(
        "os", "object", "put", "--file", home / "backup.tar", "--parallel-upload-count", 7
    )
    assert outcome.code == 0
    [request], [settings] = fake.requests, fake.settings
    assert (request.bucket, request.namespace) == ("from-rc", "rc-ns")
    assert request.part_size == 32 * MIB
    assert request.verify_checksum
    assert request.parallel == 7
    assert settings.auth == "security_token"
    assert outcome.out.startswith("+---")


def test_json_goes_before_the_rc_file(ocihaul: Command, fake: FakeCore, home: Path) -> None:
    (home / ".oci" / "oci_cli_rc").write_text("[DEFAULT]\nbucket-name=from-rc\n")
    outcome = ocihaul(
        *("os", "object", "put", "--file", home / "backup.tar"),
        *("--from-json", '{"bucket_name": "from-json"}'),
    )
    assert outcome.code == 0
    assert fake.requests[0].bucket == "from-json"


@pytest.mark.parametrize(
    ("rc", "document", "options", "existing"),
    [
        ("force=true", {}, ["--no-overwrite"], IfExists.KEEP),
        ("no-overwrite=true", {}, ["--force"], IfExists.REPLACE),
        ("force=true", {"noOverwrite": True}, [], IfExists.KEEP),
        ("no-overwrite=true", {"force": True}, [], IfExists.REPLACE),
        ("", {"force": True}, ["--no-overwrite"], IfExists.KEEP),
        ("force=true\nno-overwrite=true", {}, ["--no-overwrite"], IfExists.KEEP),
        ("force=true\nno-overwrite=false", {}, [], IfExists.REPLACE),
        ("no-overwrite=true", {"noOverwrite": False}, [], IfExists.ASK),
        ("force=true\nno-overwrite=true", {}, [], None),
        ("", {"force": True, "noOverwrite": True}, [], None),
        ("", {}, ["--force", "--no-overwrite"], None),
    ],
)
def test_finding_b20_of_force_and_no_overwrite_the_more_explicit_one_counts(
    *,
    put: Command,
    fake: FakeCore,
    home: Path,
    rc: str,
    document: dict[str, Any],
    options: list[str],
    existing: IfExists | None,
) -> None:
    (home / ".oci" / "oci_cli_rc").write_text(f"[DEFAULT]\n{rc}\n")
    outcome = put("--from-json", json.dumps(document), *options)
    if existing is None:
        assert outcome.code == 2
        assert "--force and --no-overwrite exclude each other" in outcome.err
        assert fake.requests == []
    else:
        assert outcome.code == 0, outcome.err
        assert fake.requests[0].existing is existing


def test_finding_b20_other_pairs_from_two_places(put: Command, fake: FakeCore, home: Path) -> None:
    rc = home / ".oci" / "oci_cli_rc"
    rc.write_text("[DEFAULT]\npart-size=20\nparallel-upload-count=3\n")
    assert put("--no-multipart").code == 0
    assert fake.requests[0].part_size is None
    assert not fake.requests[0].multipart
    rc.write_text("[DEFAULT]\nno-multipart=true\n")
    assert put("--part-size", "20").code == 0
    assert fake.requests[1].multipart


@pytest.mark.parametrize(
    ("document", "field", "value"),
    [
        ({"endpoint": "http://127.0.0.1:9"}, "endpoint", "http://127.0.0.1:9"),
        ({"region": "eu-paris-1"}, "region", "eu-paris-1"),
        ({"profile": "OTHER"}, "profile", "OTHER"),
        ({"configFile": "~/other"}, "profile", "DEFAULT"),
        ({"connection-timeout": 3}, "connection_timeout", 3.0),
        ({"readTimeout": "4.5"}, "read_timeout", 4.5),
        ({"max_retries": 3}, "max_attempts", 3),
        ({"noRetry": True}, "max_attempts", 1),
        ({"noRetry": False}, "max_attempts", None),
        ({"proxy": "http://p:1"}, "proxy", "http://p:1"),
        ({"authEndpoint": "http://127.0.0.1:8"}, "auth_endpoint", "http://127.0.0.1:8"),
        ({"region": None}, "region", "eu-frankfurt-1"),
    ],
)
def test_finding_b17_global_options_in_a_document_are_heeded(
    *,
    put: Command,
    fake: FakeCore,
    home: Path,
    document: dict[str, Any],
    field: str,
    value: object,
) -> None:
    section = "region=eu-frankfurt-1\nkey_file=~/.oci/key.pem\nsecurity_token_file=~/.oci/token\n"
    (home / "other").write_text(f"[DEFAULT]\n{section}")
    with (home / ".oci" / "config").open("a") as config:
        config.write(f"[OTHER]\n{section}")
    outcome = put("--from-json", json.dumps(document))
    assert outcome.code == 0, outcome.err
    assert getattr(fake.settings[0], field) == value
    if "configFile" in document:
        assert fake.settings[0].config_file == home / "other"


def test_finding_b17_the_rc_file_and_the_view_of_a_document(
    put: Command, fake: FakeCore, home: Path
) -> None:
    (home / "rc").write_text("[DEFAULT]\npart-size=32\n")
    document = {"cliRcFile": str(home / "rc"), "output": "table", "debug": True, "region": "iad"}
    outcome = put("--from-json", json.dumps(document), "--region", "eu-paris-1")
    assert outcome.code == 0, outcome.err
    assert fake.requests[0].part_size == 32 * MIB
    assert outcome.out.startswith("+---")
    assert fake.settings[0].region == "eu-paris-1", "the command line wins"


def test_finding_b17_a_document_wins_over_the_environment(
    put: Command, fake: FakeCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OCI_CLI_ENDPOINT", "http://127.0.0.1:7")
    assert put("--from-json", '{"endpoint": "http://127.0.0.1:9"}').code == 0
    assert fake.settings[0].endpoint == "http://127.0.0.1:9"


def test_finding_b17_what_has_no_effect_in_a_document_is_said(put: Command) -> None:
    outcome = put("--from-json", '{"enablePropagation": "x", "cliAutoPrompt": false}')
    assert outcome.code == 0
    assert "Notice: --enable-propagation is accepted and has no effect" in outcome.err
    assert "auto-prompt" not in outcome.err


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"endpoin": "x"}, "Did you mean 'endpoint'?"),
        ({"fromJson": "{}"}, "there is no option 'fromJson'"),
        ({"help": True}, "there is no option 'help'"),
        ({"generateFullCommandJsonInput": True}, "is not supported"),
        ({"connectionTimeout": "soon"}, "--from-json: connectionTimeout: 'soon' is not a valid"),
        ({"name": ["a"]}, '--from-json: name: ["a"] is not one value'),
        ({"endpoint": {"a": 1}}, "is not one value"),
    ],
)
def test_finding_b17_what_a_document_cannot_say_is_refused(
    put: Command, fake: FakeCore, document: dict[str, Any], said: str
) -> None:
    outcome = put("--from-json", json.dumps(document))
    assert outcome.code == 2
    assert said in outcome.err
    assert fake.requests == []


# --- global options ---------------------------------------------------------------------------


@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_global_options_are_taken_at_every_level(
    ocihaul: Command, fake: FakeCore, home: Path, place: int
) -> None:
    words: list[object] = ["os", "object", "put"]
    words[place:place] = ["--region", "eu-paris-1", "--no-retry"]
    outcome = ocihaul(*words, "-bn", "b", "--file", home / "backup.tar")
    assert outcome.code == 0
    assert fake.settings[0].region == "eu-paris-1"
    assert fake.settings[0].max_attempts == 1


def test_the_last_of_two_global_options_wins(put: Command, fake: FakeCore) -> None:
    assert put("--region", "eu-paris-1", "--region", "iad").code == 0
    assert fake.settings[0].region == "us-ashburn-1"


def test_an_option_after_the_command_wins_over_one_before_it(
    ocihaul: Command, fake: FakeCore, home: Path
) -> None:
    ocihaul(
        *("--region", "eu-paris-1", "os", "object", "put", "--region", "iad"),
        *("-bn", "b", "--file", home / "backup.tar"),
    )
    assert fake.settings[0].region == "us-ashburn-1"


def test_options_without_effect_are_accepted_and_said(put: Command) -> None:
    outcome = put("-i", "--enable-propagation", "True")
    assert outcome.code == 0
    for name in ("--cli-auto-prompt", "--enable-propagation"):
        assert f"Notice: {name} is accepted and has no effect" in outcome.err


def test_asking_for_an_example_document_does_not_upload(put: Command, fake: FakeCore) -> None:
    assert put("--generate-full-command-json-input").code == 2
    assert fake.requests == []


# --- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--part-size", "big"], "'--part-size': 'big' is not a valid integer"),
        (["--parallel-upload-count", "0"], "0 is not in the range 1<=x<=1000"),
        (["--parallel-upload-count", "1001"], "1001 is not in the range 1<=x<=1000"),
        (["--storage-tier", "Attic"], "'Attic' is not one of"),
        (["--part-size", "10", "--no-multipart"], "--part-size and --no-multipart exclude"),
        (
            ["--parallel-upload-count", "2", "--no-multipart"],
            "--parallel-upload-count and --no-multipart exclude each other",
        ),
        (
            ["--parallel-upload-count", "2", "--disable-parallel-uploads"],
            "--parallel-upload-count and --disable-parallel-uploads exclude each other",
        ),
        (["--metadata", "{"], "--metadata is not JSON (line 1, column 2)"),
        (["--metadata", "[]"], "--metadata is not a JSON object"),
        (["--metadata", '{"a": 1}'], "--metadata: every value has to be a string"),
        (["--metadata", "file:///no/such"], "the file /no/such cannot be read: No such file"),
        (["--from-json", '{"bucketNam": "x"}'], "Did you mean 'bucketName'?"),
        (["--from-json", '{"partSize": "x"}'], "--from-json: partSize: 'x' is not a valid"),
        (["--namespace", "a/b"], "--namespace 'a/b' must contain only letters"),
        (["--query", "a-b"], "--query 'a-b' is not a JMESPath expression"),
        (["--query", "query://no"], "there is no query called 'no'"),
        (["--output", "xml"], "'xml' is not one of"),
        (["--auth", "pkcs11"], "Supported are: security_token, api_key"),
        (["--max-retries", "3", "--no-retry"], "exclude each other"),
        (["--encryption-key-file", "/no/key"], "--encryption-key-file: /no/key cannot be read"),
        (["--frobnicate"], "No such option"),
    ],
)
def test_bad_options_are_refused_before_anything_is_sent(
    put: Command, fake: FakeCore, options: list[str], said: str
) -> None:
    outcome = put(*options)
    assert outcome.code == 2
    assert said in outcome.err
    assert outcome.out == ""
    assert fake.requests == []


def test_a_short_sse_c_key_is_refused_without_showing_it(put: Command, home: Path) -> None:
    (home / "aes").write_text("c2hvcnQtc2VjcmV0")
    outcome = put("--encryption-key-file", home / "aes")
    assert outcome.code == 2
    assert f"{home}/aes does not hold a base64-encoded 256-bit key" in outcome.err
    assert "openssl rand" in outcome.err
    assert "c2hvcnQ" not in outcome.err


def test_missing_options_are_named_together(ocihaul: Command) -> None:
    outcome = ocihaul("os", "object", "put")
    assert outcome.code == 2
    assert "Missing option(s) --bucket-name, --file." in outcome.err
    assert "oci_cli_rc" in outcome.err


def test_a_missing_source_is_named(ocihaul: Command) -> None:
    outcome = ocihaul("os", "object", "put", "-bn", "b", "--file", "/no/such/file")
    assert outcome.code == 2
    assert "--file: /no/such/file cannot be read: No such file" in outcome.err
    assert outcome.out == ""


def test_a_directory_is_no_source(ocihaul: Command, home: Path) -> None:
    outcome = ocihaul("os", "object", "put", "-bn", "b", "--file", home)
    assert outcome.code == 2
    assert f"--file: {home} is a directory" in outcome.err
    assert "tar" in outcome.err


def test_an_unreadable_source_is_named(
    put: Command, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() == 0:  # root reads everything: let the system say no

        def refuse(self: Path, *_: object) -> None:
            raise PermissionError(13, "Permission denied", str(self))

        monkeypatch.setattr(Path, "open", refuse)
    else:
        (home / "backup.tar").chmod(0)
    outcome = put()
    assert outcome.code == 2
    assert "backup.tar cannot be read: Permission denied" in outcome.err
    assert "the user it runs as" in outcome.err


def test_a_named_pipe_is_not_waited_for_and_gives_the_object_its_name(
    ocihaul: Command, home: Path, fake: FakeCore
) -> None:
    os.mkfifo(home / "dump.sql")
    outcome = ocihaul("os", "object", "put", "-bn", "b", "--file", home / "dump.sql")
    assert outcome.code == 0, outcome.err
    assert fake.requests[0].name == "dump.sql"
    assert fake.requests[0].stream is not None


@pytest.mark.parametrize("file", ["-", "/dev/stdin"])
def test_stdin_without_a_name_asks_for_one(ocihaul: Command, file: str) -> None:
    outcome = ocihaul("os", "object", "put", "-bn", "b", "--file", file)
    assert outcome.code == 2
    assert "--name is missing" in outcome.err


def test_stdin_at_a_terminal_is_refused(
    ocihaul: Command, monkeypatch: pytest.MonkeyPatch, fake: FakeCore
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal())
    outcome = ocihaul("os", "object", "put", "-bn", "b", "--file", "-", "--name", "x")
    assert outcome.code == 2
    assert "stdin, which is a terminal" in outcome.err
    assert fake.requests == []


def test_a_closed_stdin_is_refused(ocihaul: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)  # as Python has it then
    outcome = ocihaul("os", "object", "put", "-bn", "b", "--file", "-", "--name", "x")
    assert outcome.code == 2
    assert "stdin is closed" in outcome.err


def test_a_file_that_is_redirected_to_stdin_has_to_come_whole(
    ocihaul: Command, home: Path, monkeypatch: pytest.MonkeyPatch, fake: FakeCore
) -> None:
    with (home / "backup.tar").open() as stdin:
        stdin.seek(2)
        monkeypatch.setattr(sys, "stdin", stdin)
        outcome = ocihaul("os", "object", "put", "-bn", "b", "--file", "-", "--name", "x")
    assert outcome.code == 0, outcome.err
    assert fake.requests[0].expected_size == 3


def test_a_file_called_dash_is_a_file(
    ocihaul: Command, home: Path, monkeypatch: pytest.MonkeyPatch, fake: FakeCore
) -> None:
    (home / "-").write_text("x")
    monkeypatch.chdir(home)
    assert ocihaul("os", "object", "put", "-bn", "b", "--file", "./-").code == 0
    assert (fake.requests[0].stream, fake.requests[0].name) == (None, "-")


def test_what_is_expected_of_a_pipe_and_where_it_waits(
    put: Command, home: Path, fake: FakeCore
) -> None:
    digest = hashlib.sha256(b"12345")
    options = ("--expected-size", "1.5k", "--memory-limit", "64M", "--spool-dir", "~/spool")
    assert put("--expected-sha256", digest.hexdigest(), *options).code == 0
    encoded = base64.b64encode(digest.digest()).decode()
    assert put("--expected-sha256", encoded).code == 0
    first, second = fake.requests
    assert (first.expected_size, first.memory_limit) == (1536, 64 * 2**20)
    assert first.spool_dir == home / "spool"
    assert first.content_sha256 == second.content_sha256 == encoded
    assert (second.expected_size, second.spool_dir) == (None, None)


def test_a_checksum_that_is_none_is_refused(put: Command) -> None:
    assert "is no SHA-256" in put("--expected-sha256", "abc").err
    both = ("--expected-sha256", "0" * 64, "--opc-content-sha256", "AAAA")
    outcome = put(*both)
    assert outcome.code == 2
    assert "are not the same" in outcome.err


def test_a_bad_default_in_the_rc_file_names_the_file(put: Command, home: Path) -> None:
    rc = home / ".oci" / "oci_cli_rc"
    rc.write_text("[DEFAULT]\nos.object.put.part-size=big\n")
    outcome = put()
    assert outcome.code == 2
    assert f"{rc}, section [DEFAULT]: the default for part-size: 'big'" in outcome.err


def test_a_missing_profile_fails_with_the_cure(put: Command) -> None:
    outcome = put("--profile", "nobody")
    assert outcome.code == 1
    assert "has no profile 'nobody'; the profiles in it are: DEFAULT" in outcome.err
    assert "oci session authenticate --profile-name nobody" in outcome.err


def test_an_unknown_region_fails_with_the_cure(put: Command) -> None:
    outcome = put("--region", "us-ashbrun-1")
    assert outcome.code == 1
    assert "--region is 'us-ashbrun-1', an unknown region" in outcome.err
    assert "Did you mean us-ashburn-1?" in outcome.err
