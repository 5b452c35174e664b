"""Names and values that HTTP cannot carry: told before anything is sent, and never quoted."""

import base64
from collections.abc import Mapping
from pathlib import Path

import pytest

from ocihaul.endpoints import Origin
from ocihaul.errors import UsageError
from ocihaul.http.client import ServiceCall
from ocihaul.storage.client import StorageClient
from ocihaul.storage.values import SseCustomerKey
from ocihaul.transfer.upload.request import IfExists
from ocihaul.transport.message import Answer
from tests.world import MIB, PART, world

UNSENDABLE: list[tuple[Mapping[str, object], str]] = [
    ({"if_match": "a\nb"}, "if-match"),
    ({"if_match": "caf\u00e9"}, "if-match"),
    ({"if_match": " etag"}, "if-match"),
    ({"metadata": {"my key": "x"}}, "opc-meta-my key"),
    ({"metadata": {"a:b": "x"}}, "opc-meta-a:b"),
    ({"metadata": {"place": "x "}}, "opc-meta-place"),
    ({"metadata": {"place": "x\ty"}}, "opc-meta-place"),
    ({"content_type": "\x7f"}, "content-type"),
    ({"kms_key_id": "ocid1.key\r\n"}, "opc-sse-kms-key-id"),
    ({"name": "caf\udce9"}, r"object name 'caf\\udce9'"),
    ({"bucket": "caf\udce9"}, "bucket name"),
    ({"namespace": "caf\udce9"}, "namespace"),
]


@pytest.mark.parametrize("size", [1, 2 * PART], ids=["single", "multipart"])
@pytest.mark.parametrize(("wishes", "named"), UNSENDABLE)
def test_what_cannot_be_sent_is_named_before_anything_is_sent(
    tmp_path: Path, wishes: Mapping[str, object], named: str, size: int
) -> None:
    with world(tmp_path) as w:
        with pytest.raises(UsageError, match=named) as caught:
            w.upload(w.file(size), existing=IfExists.ASK, **wishes)  # type: ignore[arg-type]  # by name
        assert w.oci.log.entries() == []
        str(caught.value).encode()  # it can be printed


def test_a_customers_key_that_cannot_be_sent_is_not_quoted(tmp_path: Path) -> None:
    text = base64.b64encode(bytes(range(32))).decode()
    with world(tmp_path) as w:
        with pytest.raises(UsageError, match="opc-sse-customer-key") as caught:
            w.upload(w.file(MIB), sse_customer_key=SseCustomerKey(text + "\n"))
        assert text not in str(caught.value)
        assert caught.value.__context__ is None
        assert w.oci.log.entries() == []


class Unasked:
    """A client that must not be asked."""

    def call(self, _origin: Origin, call: ServiceCall) -> Answer:
        raise AssertionError(call.operation)


def test_every_operation_refuses_what_it_cannot_send() -> None:
    storage = StorageClient(Unasked(), lambda _: "http://service.test")  # type: ignore[arg-type]  # a double
    with pytest.raises(UsageError, match="object name"):
        storage.head_object("n", "b", "\udcff")
    with pytest.raises(UsageError, match="if-match"):
        storage.head_object("n", "b", "o", {"if-match": "\n"})
    with pytest.raises(UsageError, match="uploadId"):
        storage.abort_multipart_upload("n", "b", "o", upload_id="\udcff")
