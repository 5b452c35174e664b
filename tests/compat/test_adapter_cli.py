"""The official CLI in our process, on our session; and the same runs without us."""

import base64
import json
import os
import subprocess
import time
import urllib.parse
import zipfile
from pathlib import Path

import pytest

from ocihaul.emulator import Settings
from ocihaul.emulator.faults import Fault
from ocihaul.emulator.log import LogEntry

from .conftest import Official
from .programs import MIB, assert_no_secret, meanwhile, with_ocihaul


@pytest.fixture
def program(official: Official) -> Official:
    official = with_ocihaul(official)
    official.environment["OCI_CLI_ENDPOINT"] = official.oci.endpoint
    return official


def oci(program: Official, *arguments: str, module: str = "ocihaul.integrations.oci_cli") -> "Ran":
    python = str(program.venv / "bin" / "python")
    done = program.program([python, "-m", module, *arguments])
    assert_no_secret(program, done.stdout + done.stderr)
    return done


Ran = subprocess.CompletedProcess[bytes]


def token_file(program: Official) -> Path:
    return program.config.parent / "sessions" / "DEFAULT" / "token"


def test_the_session_is_used_without_being_asked_for(program: Official) -> None:
    """No --auth, and the profile is one of a session: the official CLI alone would fail."""
    ours = oci(program, "os", "bucket", "get", *program.place())
    assert ours.returncode == 0, ours.stderr
    theirs = program.run("os", "bucket", "get", *program.place())
    assert json.loads(ours.stdout)["data"] == json.loads(theirs.stdout)["data"]
    assert ours.stderr == b""
    assert program.bare("os", "bucket", "get", *program.place()).returncode != 0


#: Commands that ocihaul does not have, and the operation that each asks for: of another service,
#: and of Object Storage, whose other commands are ours.
HANDED_ON = {
    "iam region list": "ListRegions",
    "os replication list-replication-policies -ns ns1 -bn backups --all": "ListReplicationPolicies",
}
CLUSTER_TOKEN = "ce cluster generate-token --cluster-id ocid1.cluster.x"


def ocihaul(program: Official, line: str) -> "Ran":
    """`ocihaul …`, which waits for no login."""
    return oci(program, "--session-wait", "0", *line.split(), module="ocihaul")


def by_the_cli(entry: LogEntry) -> bool:
    return "Oracle-PythonCLI" in entry.headers["user-agent"]


@pytest.mark.parametrize("line", HANDED_ON)
def test_ocihaul_hands_unknown_commands_on(program: Official, line: str) -> None:
    program.oci.put_object("backups", "x", b"1")
    done = ocihaul(program, line)
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    (entry,) = program.oci.log.entries()
    assert (entry.operation, by_the_cli(entry)) == (HANDED_ON[line], True)
    assert done.stdout == program.run(*line.split()).stdout


def test_ocihaul_hands_a_command_on_that_only_signs(program: Official) -> None:
    del program.environment["OCI_CLI_ENDPOINT"]
    done = ocihaul(program, CLUSTER_TOKEN)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["kind"], done.stderr) == ("ExecCredential", b"")
    (token,) = program.oci.auth.token_texts()
    url = base64.urlsafe_b64decode(answer["status"]["token"]).decode()
    assert f'keyId="ST${token}"' in urllib.parse.unquote_plus(url)
    assert program.oci.log.entries() == []


def test_ocihaul_hands_on_what_it_lacks_of_sessions(program: Official) -> None:
    program.oci.write_profile(program.config.parent, "other")
    copy = program.home / "copy"
    done = ocihaul(program, f"session export --profile other --output-file {copy}")
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(f"{copy}.zip") as archive:
        assert "token" in archive.namelist()
    done = ocihaul(program, "session terminate --profile other")
    assert done.returncode == 0, done.stderr
    assert "[other]" not in program.config.read_text()
    assert token_file(program).exists()


@pytest.mark.parametrize("line", HANDED_ON)
def test_a_401_in_a_command_that_was_handed_on_is_mended(program: Official, line: str) -> None:
    operation = HANDED_ON[line]
    program.oci.put_object("backups", "x", b"1")
    program.oci.faults.add(Fault(operation=operation, status=401, code="NotAuthenticated"))
    done = ocihaul(program, line)
    assert done.returncode == 0, done.stderr
    program.oci.faults.assert_all_fired()
    assert program.oci.auth.refreshes == 1
    refused, accepted = program.oci.log.entries(operation=operation)
    assert (refused.status, accepted.status) == (401, 200)
    assert refused.token_id != accepted.token_id
    assert done.stdout == program.run(*line.split()).stdout


@pytest.mark.parametrize(
    "line", ["--renew-with APIKEY iam region list", "iam region list --renew-with=APIKEY"]
)
def test_our_own_options_stay_in_force_where_a_command_is_handed_on(
    program: Official, line: str
) -> None:
    program.oci.write_api_key_profile(program.config.parent)
    program.oci.revoke_all()
    done = ocihaul(program, line)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["data"]
    assert (program.oci.auth.refreshes, program.oci.auth.minted) == (0, 1)


@pytest.mark.parametrize("line", [*HANDED_ON, CLUSTER_TOKEN])
def test_a_command_that_was_handed_on_ends_with_its_session(program: Official, line: str) -> None:
    if line == CLUSTER_TOKEN:
        # Nobody would refuse what is only signed: the token itself must be at its end.
        session = program.oci.login()
        program.oci.write_profile(program.config.parent, session=session)
        token_file(program).write_text(program.oci.issue_token(session, exp=1))
    program.oci.revoke_all()
    done = ocihaul(program, line)
    assert done.returncode == 75, done.stderr
    assert done.stdout == b""
    assert b"session has expired" in done.stderr
    assert b"session authenticate" in done.stderr
    assert b"Traceback" not in done.stderr
    assert program.oci.log.count(operation="RefreshToken", status=401) >= 1
    assert program.oci.auth.refreshes == 0
    refused = program.oci.log.entries(operation=HANDED_ON.get(line))
    assert {entry.status for entry in refused} == {401}


def test_what_the_cli_has_to_say_about_a_command_comes_through(program: Official) -> None:
    missing = ocihaul(program, "os bucket update -ns ns1 -bn none --versioning Enabled")
    assert (missing.returncode, missing.stdout) == (1, b"")
    assert b'"status": 404' in missing.stderr
    line = "iam region list --nonsense"
    wrong, theirs = ocihaul(program, line), program.run(*line.split())
    assert wrong.returncode == theirs.returncode == 2
    assert wrong.stdout == theirs.stdout != b""


@pytest.mark.parametrize("how", ["refused", "revoked"])
def test_an_ended_session_is_75_and_a_clear_text_on_stderr(program: Official, how: str) -> None:
    program.oci.configure(refresh_refuses=True)
    if how == "revoked":
        program.oci.revoke_all()
    else:
        session = program.oci.login()
        program.oci.write_profile(program.config.parent, session=session)
        dead = program.oci.issue_token(session, exp=1)
        token_file(program).write_text(dead)
    done = (
        oci(program, "ce", "cluster", "generate-token", "--cluster-id", "ocid1.cluster.x")
        if how == "refused"
        else oci(program, "os", "ns", "get")
    )
    assert done.returncode == 75, done.stderr
    assert done.stdout == b""
    assert b"session has expired" in done.stderr
    assert b"oci session authenticate" in done.stderr
    assert b"[Y/n]" not in done.stderr


def test_a_cluster_token_is_signed_with_a_token_that_lives(program: Official) -> None:
    """It is only signed and never sent: the token in it must not be at its end."""
    program.environment.pop("OCI_CLI_ENDPOINT")
    session = program.oci.login()
    program.oci.write_profile(program.config.parent, session=session)
    now = int(time.time())
    old = program.oci.issue_token(session, iat=now - 100, exp=now + 10)
    token_file(program).write_text(old)
    python = str(program.venv / "bin" / "python")
    command = [python, "-m", "ocihaul.integrations.oci_cli"]
    done = program.program(
        [*command, "ce", "cluster", "generate-token", "--cluster-id", "ocid1.cluster.x"]
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["kind"] == "ExecCredential"
    signed = urllib.parse.unquote(base64.urlsafe_b64decode(answer["status"]["token"]).decode())
    (new,) = [token for token in program.oci.auth.token_texts() if f"ST${token}" in signed]
    assert new == token_file(program).read_text() != old


def test_debug_shows_requests_without_their_secrets(program: Official) -> None:
    done = oci(program, "--debug", "os", "ns", "get")
    assert done.returncode == 0, done.stderr
    assert b"send: b'GET /n" in done.stdout
    assert b"[redacted]" in done.stdout
    theirs = program.run("--debug", "os", "ns", "get")
    (token,) = program.oci.auth.token_texts()
    assert token.encode() in theirs.stdout


def test_a_cli_without_the_seam_is_refused(program: Official) -> None:
    code = """
import sys
sys.argv = ["oci", "os", "ns", "get"]
import oci_cli.cli_util
del oci_cli.cli_util.get_session_token_signer
from ocihaul.integrations.oci_cli import run
sys.exit(run(["os", "ns", "get"]))
"""
    done = program.script(code)
    assert done.returncode == 1
    assert b"oci-cli 3.95.1, oci 2.189.0" in done.stderr
    assert b"pip install" in done.stderr
    assert program.oci.log.entries() == []


def test_reading_from_a_pipe_and_in_bulk(program: Official, tmp_path: Path) -> None:
    """The transfer code's own loops, which retry no 401 and read their bodies in other ways."""
    data = os.urandom(3 * MIB + 5)
    program.oci.faults.add(Fault(operation="UploadPart", part_number=2, status=401))
    python = str(program.venv / "bin" / "python")
    done = program.program(
        [
            *(python, "-m", "ocihaul.integrations.oci_cli", "os", "object", "put"),
            *(*program.place(), "--file", "-", "--name", "piped", "--part-size", "1", "--force"),
        ],
        stdin=data,
    )
    assert done.returncode == 0, done.stderr
    assert program.oci.read_object("backups", "piped") == data
    program.oci.faults.assert_all_fired()
    program.oci.faults.add(
        Fault(operation="PutObject", status=401),
        Fault(operation="UploadPart", part_number=2, object_name="b", status=401),
        Fault(operation="UploadPart", part_number=1, object_name="b", status=503),
    )
    source = tmp_path / "many"
    source.mkdir()
    (source / "a").write_bytes(data[:1000])
    (source / "b").write_bytes(data)
    flags = ["--src-dir", str(source), "--part-size", "1", "--overwrite"]
    done = oci(program, "os", "object", "bulk-upload", *program.place(), *flags)
    assert done.returncode == 0, done.stderr
    assert program.oci.read_object("backups", "a") == data[:1000]
    assert program.oci.read_object("backups", "b") == data
    program.oci.faults.assert_all_fired()


class TestTheReportsCommand:
    """Its flags, through ten lives of three seconds, with 401s and 503s on parts."""

    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(token_ttl=3, bandwidth=3 * MIB)

    def flags(self, program: Official, source: Path) -> list[str]:
        return [
            *("os", "object", "put", "--bucket-name", "backups", "--namespace", "ns1"),
            *("--file", str(source), "--name", "night.tar", "--storage-tier", "Archive"),
            *("--no-overwrite", "--part-size", "1", "--parallel-upload-count", "15"),
            *("--verify-checksum", "--auth", "security_token", "--region", "us-ashburn-1"),
            *("--endpoint", program.oci.endpoint, "--config-file", str(program.config), "--debug"),
        ]

    def source(self, path: Path, size: int) -> Path:
        path.write_bytes(os.urandom(size))
        return path

    def test_ten_lifetimes_under_exec(self, program: Official, tmp_path: Path) -> None:
        source = self.source(tmp_path / "night.tar", 50 * MIB + 4321)
        program.log_in()
        emulator = program.oci
        emulator.faults.add(
            Fault(operation="HeadObject", status=401),
            Fault(operation="CreateMultipartUpload", status=401),
            Fault(operation="UploadPart", part_number=3, status=401),
            Fault(operation="UploadPart", part_number=20, status=503, code="ServiceUnavailable"),
            Fault(operation="UploadPart", part_number=31, early=True, status=401),
            Fault(operation="UploadPart", part_number=40, status=503, code="ServiceUnavailable"),
            Fault(operation="CommitMultipartUpload", status=401),
        )
        with meanwhile(
            lambda: emulator.log.count(operation="UploadPart", status=200) > 25,
            lambda: emulator.revoke_all(refreshable=True),
        ) as revoked:
            ours = ("--config-file", str(program.config), "exec", "--")
            done = oci(program, *ours, "oci", *self.flags(program, source), module="ocihaul")
        assert done.returncode == 0, done.stderr[-3000:]
        assert revoked.is_set()
        emulator.faults.assert_all_fired()
        assert emulator.read_object("backups", "night.tar") == source.read_bytes()
        assert emulator.auth.refreshes >= 10
        sent = emulator.log.entries(operation="UploadPart", status=200)
        assert sorted(entry.part_number or 0 for entry in sent) == list(range(1, 52))
        assert b"md5 checksum matches" in done.stderr

    def test_the_same_without_us_fails(self, program: Official, tmp_path: Path) -> None:
        source = self.source(tmp_path / "night.tar", 19 * MIB)
        program.log_in()
        done = program.bare(*self.flags(program, source))
        assert done.returncode != 0
        assert program.oci.object_names("backups") == []
        assert program.oci.log.entries(status=401), "on a part, where it is quick to start"
