"""The SDK's own clients on our signer."""

import hashlib
import os
import re
from pathlib import Path

import pytest

from ocihaul.emulator import Settings
from ocihaul.emulator.faults import Fault

from .conftest import Official
from .programs import MIB, assert_no_secret, meanwhile, with_ocihaul

DOCUMENT = Path(__file__).parents[2] / "docs" / "library.md"
BEGIN = """
import sys, ocihaul, oci
from ocihaul.integrations import oci_sdk
endpoint, *rest = sys.argv[1:]
"""


@pytest.fixture
def program(official: Official) -> Official:
    return with_ocihaul(official)


def ran(program: Official, code: str, *arguments: str) -> str:
    done = program.script(BEGIN + code, program.oci.endpoint, *arguments)
    assert_no_secret(program, done.stdout + done.stderr)
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    return done.stdout.decode().strip()


SIMPLE = """
with ocihaul.Session.from_profile() as session:
    client = oci.object_storage.ObjectStorageClient({}, signer=oci_sdk.signer(session))
    assert "eu-frankfurt-1" in client.base_client.endpoint
    client.base_client.endpoint = endpoint
    print(client.get_namespace().data)
    client.put_object("ns1", "backups", "small", b"hello")
    print(client.get_object("ns1", "backups", "small").data.text)
    details = oci.object_storage.models.CreateMultipartUploadDetails(object="begun")
    print(len(client.create_multipart_upload("ns1", "backups", details).data.upload_id) > 0)
    client.delete_object("ns1", "backups", "small")
"""


def test_two_lines_make_a_client_of_any_request(program: Official) -> None:
    assert ran(program, SIMPLE).split() == ["ns1", "hello", "True"]
    assert program.oci.log.entries(status=401) == []


def test_every_kind_of_request_survives_a_401(program: Official) -> None:
    operations = ("GetNamespace", "PutObject", "GetObject", "CreateMultipartUpload", "DeleteObject")
    for operation in operations:
        program.oci.faults.add(Fault(operation=operation, status=401, code="NotAuthenticated"))
    assert ran(program, SIMPLE).split() == ["ns1", "hello", "True"]
    program.oci.faults.assert_all_fired()
    assert program.oci.auth.refreshes == len(operations)
    # The rejected credential was not used again.
    for operation in operations:
        refused, accepted = program.oci.log.entries(operation=operation)
        assert (refused.status, accepted.error_code) == (401, None)
        assert refused.token_id != accepted.token_id


def test_a_service_that_always_says_401_is_asked_a_few_times_only(program: Official) -> None:
    program.oci.faults.add(
        Fault(operation="GetNamespace", status=401, code="NotAuthenticated", times=None)
    )
    code = """
with ocihaul.Session.from_profile() as session:
    client = oci.object_storage.ObjectStorageClient(
        {}, signer=oci_sdk.signer(session), service_endpoint=endpoint)
    try:
        client.get_namespace()
    except oci.exceptions.ServiceError as error:
        print(error.status)
"""
    assert ran(program, code) == "401"
    assert program.oci.log.count(operation="GetNamespace") == 6


def test_a_session_that_is_over_raises_our_error_without_retries(program: Official) -> None:
    program.oci.configure(refresh_refuses=True)
    program.oci.revoke_all()
    code = """
with ocihaul.Session.from_profile() as session:
    client = oci.object_storage.ObjectStorageClient(
        {}, signer=oci_sdk.signer(session), service_endpoint=endpoint)
    try:
        client.get_namespace()
    except ocihaul.errors.SessionExpiredError as error:
        print("over", error.hint)
"""
    assert ran(program, code).startswith("over")
    # The request, and once more with the same token, in case the 401 was a hiccup.
    assert program.oci.log.count(operation="GetNamespace") == 2


def test_a_signer_is_a_signer_to_everybody(program: Official) -> None:
    code = """
import functools, threading
with ocihaul.Session.from_profile(region="us-ashburn-1") as session:
    signer = oci_sdk.signer(session)
    assert isinstance(signer, oci.auth.signers.SecurityTokenSigner)
    assert isinstance(signer, oci.signer.AbstractBaseSigner)
    assert signer.region == "us-ashburn-1"
    assert isinstance(signer.without_content_headers, functools.partial)
    assert signer.api_key.startswith("ST$") and signer.private_key.key_size == 2048
    assert "ST$" not in repr(signer) + str(vars(signer)) + str(signer.without_content_headers)
    request = oci._vendor.requests.Request("GET", endpoint + "/n").prepare()
    assert signer.do_request_sign(request) is request
    assert request.headers["authorization"].startswith("Signature ")
    assert oci._vendor.requests.Session().send(request).status_code == 200
    import requests
    assert requests.get(endpoint + "/n", auth=signer).status_code == 200
    print("yes")
"""
    assert ran(program, code) == "yes"


def test_a_stream_that_cannot_be_read_again_keeps_its_401(program: Official) -> None:
    program.oci.faults.add(Fault(operation="PutObject", status=401, code="NotAuthenticated"))
    code = """
import os, threading
with ocihaul.Session.from_profile() as session:
    client = oci.object_storage.ObjectStorageClient(
        {}, signer=oci_sdk.signer(session), service_endpoint=endpoint)
    read, write = os.pipe()
    threading.Thread(target=lambda: (os.write(write, b"x" * 1000), os.close(write))).start()
    try:
        client.put_object("ns1", "backups", "piped", os.fdopen(read, "rb"), content_length=1000)
    except oci.exceptions.ServiceError as error:
        print(error.status, session.credential().generation)
"""
    assert ran(program, code) == "401 2"
    assert program.oci.object_names("backups") == []


class TestThroughManyTokens:
    """Parts of 1 MiB while tokens live three seconds, are revoked, and answers are 503."""

    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(token_ttl=3, bandwidth=4 * MIB)

    def test_upload_manager(self, program: Official, tmp_path: Path) -> None:
        source = tmp_path / "night.tar"
        source.write_bytes(os.urandom(48 * MIB + 12345))
        program.log_in()
        oci = program.oci
        oci.faults.add(
            Fault(operation="UploadPart", part_number=5, status=503, code="ServiceUnavailable"),
            Fault(operation="UploadPart", part_number=9, status=401, code="NotAuthenticated"),
            Fault(operation="UploadPart", part_number=30, status=401, early=True, close=True),
            Fault(operation="CommitMultipartUpload", status=401, code="NotAuthenticated"),
        )
        code = """
with ocihaul.Session.from_profile() as session:
    client = oci.object_storage.ObjectStorageClient(
        {}, signer=oci_sdk.signer(session), service_endpoint=endpoint)
    manager = oci.object_storage.UploadManager(client, parallel_process_count=5)
    manager.upload_file("ns1", "backups", "night", rest[0], part_size=2**20)
    print(session.credential().generation)
"""
        with meanwhile(
            lambda: oci.log.count(operation="UploadPart", status=200) > 20,
            lambda: oci.revoke_all(refreshable=True),
        ) as revoked:
            generation = int(ran(program, code, str(source)))
        assert revoked.is_set()
        oci.faults.assert_all_fired()
        digest = hashlib.sha256(source.read_bytes()).hexdigest()
        assert oci.object_digest("backups", "night") == digest
        assert generation >= 6
        # One renewal per token, whoever waited for it.
        assert oci.auth.refreshes == generation - 1
        sent = oci.log.entries(operation="UploadPart", status=200)
        assert sorted(entry.part_number or 0 for entry in sent) == list(range(1, 50))


def test_ocifs_writes_and_reads(program: Official) -> None:
    program.oci.faults.add(Fault(operation="PutObject", status=401, code="NotAuthenticated"))
    program.oci.faults.add(Fault(operation="GetObject", status=401, code="NotAuthenticated"))
    code = """
import ocifs
with ocihaul.Session.from_profile() as session:
    files = ocifs.OCIFileSystem(
        config={}, signer=oci_sdk.signer(session), config_kwargs={"service_endpoint": endpoint})
    with files.open("backups@ns1/table.csv", "w") as file:
        file.write("a,b\\n1,2\\n")
    with files.open("backups@ns1/table.csv") as file:
        print(file.read())
    print(files.ls("backups@ns1/"))
"""
    assert "a,b" in ran(program, code)
    program.oci.faults.assert_all_fired()
    assert program.oci.read_object("backups", "table.csv") == b"a,b\n1,2\n"


def test_the_documents_examples_run(program: Official) -> None:
    examples = re.findall(r"^```python\n(.*?)^```", DOCUMENT.read_text(), re.DOTALL | re.MULTILINE)
    of_sdk = [text for text in examples if "sdk.signer" in text]
    assert len(of_sdk) == 2
    # The endpoint of a region is not ours: the emulator's stands in for it.
    code = """
import ocifs
made = oci.base_client.BaseClient.__init__
def at_the_emulator(self, *given, **settings):
    made(self, *given, **{**settings, "service_endpoint": endpoint})
oci.base_client.BaseClient.__init__ = at_the_emulator
first, second = rest
exec(first)
with ocihaul.Session.from_profile() as session:
    exec(second)
    print(files.cat("backups@ns1/seeded").decode())
"""
    program.oci.put_object("backups", "seeded", b"seed")
    assert ran(program, code, *of_sdk).split() == ["ns1", "seed"]
