"""Headers and documents that no service sends: they are retried or refused like any other."""

import pytest

from ocihaul.http.retry import retry_after, service_error
from ocihaul.session.credential import Credential
from ocihaul.session.policy import Failed
from ocihaul.session.providers import read_answer
from ocihaul.transport.message import Answer
from tests.support import NOW, rsa_key

DEEP = b"[" * 100_000


@pytest.mark.parametrize(
    "text", ["\xb2", "\xb9\xb2\xb3", "-1", "1e9", "Mon, 01 Jan 2026 00:00:00 +" + "9" * 20]
)
def test_a_retry_after_that_is_no_number_is_none(text: str) -> None:
    assert retry_after({"retry-after": text}, NOW) is None


@pytest.mark.parametrize("body", [DEEP, b'{"code": ["x"]}', b'{"code": {"x": 1}}', b'{"code": 7}'])
def test_any_json_makes_a_service_error(body: bytes) -> None:
    error = service_error(Answer(503, {}, body, 0), "PutObject")
    assert error.status == 503
    assert error.code is None or isinstance(error.code, str)


def test_a_refresh_answered_with_depths_of_json_has_failed() -> None:
    credential = Credential(rsa_key(), "k", 1)
    outcome = read_answer(Answer(200, {}, DEEP, 0), credential, asked="auth", now=NOW)
    assert isinstance(outcome, Failed)
