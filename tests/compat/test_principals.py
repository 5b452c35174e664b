"""Our command signs with the SDK's principals, each made by the SDK as OCI's places let it."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ocihaul.emulator.auth import TENANCY
from ocihaul.emulator.faults import Fault
from tests.support import make_token

from .conftest import Official
from .places import Places, places
from .programs import MIB, assert_no_secret, meanwhile, with_ocihaul

DELEGATION = make_token(iat=time.time(), exp=time.time() + 3600, sub="somebody else")
THE_PODS_OWN = make_token(iat=time.time(), exp=time.time() + 3600, sub="a pod")


@pytest.fixture
def program(official: Official) -> Official:
    """No profile: who runs where OCI gives the identity has none."""
    official = with_ocihaul(official)
    official.environment["OCI_CLI_ENDPOINT"] = official.oci.endpoint
    official.config.unlink()
    del official.environment["OCI_CLI_CONFIG_FILE"]
    return official


@pytest.fixture
def there(program: Official, tmp_path: Path) -> Iterator[Places]:
    with places(program.oci, tmp_path / "place.pem") as there:
        yield there


def put(program: Official, auth: str, *flags: str) -> None:
    """An upload in parts, one of which is refused, with all that happens in the log."""
    source = program.home / "night.tar"
    source.write_bytes(os.urandom(25 * MIB))
    program.oci.faults.add(
        Fault(operation="UploadPart", part_number=2, status=401, code="NotAuthenticated")
    )
    done = program.program(
        [
            *(str(program.venv / "bin" / "python"), "-m", "ocihaul", "os", "object", "put"),
            *("--auth", auth, "--bucket-name", "backups", "--part-size", "10", *flags),
            *("--file", str(source), "--no-overwrite", "--debug"),
        ]
    )
    assert_no_secret(program, done.stdout + done.stderr)
    for secret in (DELEGATION, THE_PODS_OWN):
        assert secret.encode() not in done.stdout + done.stderr
    assert done.returncode == 0, done.stderr.decode()
    assert program.oci.read_object("backups", "night.tar") == source.read_bytes()
    program.oci.faults.assert_all_fired()


def tokens_of_part(program: Official, number: int) -> tuple[str | None, str | None]:
    """Those that signed the part's refused and its accepted request."""
    refused, accepted = (
        entry
        for entry in program.oci.log.entries(operation="UploadPart")
        if entry.part_number == number
    )
    assert (refused.status, accepted.status) == (401, 200)
    return refused.token_id, accepted.token_id


def test_an_instance(program: Official, there: Places) -> None:
    program.environment["OCI_METADATA_BASE_URL"] = there.metadata
    put(program, "instance_principal", "--cert-bundle", str(there.ca_file))
    before, after = tokens_of_part(program, 2)
    assert before != after
    assert there.tokens_given() == 2
    by_certificate = [asked for path, asked in there.asked if path == "/v1/x509"]
    assert all(f'keyId="{TENANCY}/fed-x509/' in asked for asked in by_certificate)


def test_an_instance_for_a_user(program: Official, there: Places, tmp_path: Path) -> None:
    program.environment["OCI_METADATA_BASE_URL"] = there.metadata
    (tmp_path / "delegation").write_text(f"{DELEGATION}\n")
    program.environment["OCI_CLI_DELEGATION_TOKEN_FILE"] = str(tmp_path / "delegation")
    put(program, "instance_obo_user", "--cert-bundle", str(there.ca_file))
    before, after = tokens_of_part(program, 2)
    assert before != after
    assert there.tokens_given() == 2
    for entry in program.oci.log.entries():
        assert entry.headers["opc-obo-token"] == DELEGATION


def test_a_pod(program: Official, there: Places) -> None:
    program.environment |= {
        "KUBERNETES_SERVICE_HOST": there.host,
        "OCI_KUBERNETES_SERVICE_ACCOUNT_CERT_PATH": str(there.ca_file),
        "OCI_KUBERNETES_SERVICE_ACCOUNT_TOKEN_STRING": THE_PODS_OWN,
        "OCI_RESOURCE_PRINCIPAL_REGION": "eu-frankfurt-1",
    }
    put(program, "oke_workload_identity")
    before, after = tokens_of_part(program, 2)
    assert before != after
    assert there.tokens_given() == 2
    assert {asked for _, asked in there.asked} == {f"Bearer {THE_PODS_OWN}"}


def test_a_function(program: Official, tmp_path: Path) -> None:
    """Version 2.2 reads token and key from files, which the platform replaces."""
    session = program.oci.login()
    token, key = tmp_path / "rpst", tmp_path / "key.pem"
    token.write_text(session.token)
    key.write_bytes(session.private_key_pem)
    program.environment |= {
        "OCI_RESOURCE_PRINCIPAL_VERSION": "2.2",
        "OCI_RESOURCE_PRINCIPAL_RPST": str(token),
        "OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM": str(key),
        "OCI_RESOURCE_PRINCIPAL_REGION": "eu-frankfurt-1",
    }
    # The token dies after the first request; its successor lies in the file by then.
    with meanwhile(
        lambda: program.oci.log.count(operation="CreateMultipartUpload") > 0,
        lambda: token.write_text(program.oci.issue_token(session)),
    ) as replaced:
        put(program, "resource_principal")
    assert replaced.is_set()
    before, after = tokens_of_part(program, 2)
    assert before != after
    assert program.oci.auth.refreshes == 0


def test_a_place_that_is_not_trusted_gives_nothing(program: Official, there: Places) -> None:
    program.environment["OCI_METADATA_BASE_URL"] = there.metadata
    python = str(program.venv / "bin" / "python")
    command = [python, "-m", "ocihaul", "os", "ns", "get", "--auth", "instance_principal"]
    done = program.program(command)
    assert (done.returncode, done.stdout) == (75, b""), done.stderr
    assert b"works only where OCI gives the identity" in done.stderr
    assert b"certificate verify failed" in done.stderr
    assert there.tokens_given() == 0
    assert program.oci.log.entries() == []
