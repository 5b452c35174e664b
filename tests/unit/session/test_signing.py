import base64
import hashlib
import re

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from ocihaul.session.credential import sign
from tests.support import rsa_key

DATE = "Thu, 05 Jan 2014 21:31:40 GMT"


def verified(headers: dict[str, str], text: str) -> None:
    value = headers["authorization"]
    match = re.fullmatch(
        r'Signature algorithm="rsa-sha256",headers="([^"]+)",keyId="ST\$abc",'
        r'signature="([^"]+)",version="1"',
        value,
    )
    assert match is not None
    assert match[1].split() == [line.split(": ")[0] for line in text.split("\n")]
    rsa_key().public_key().verify(
        base64.b64decode(match[2]), text.encode(), padding.PKCS1v15(), hashes.SHA256()
    )


def test_get_signs_date_target_and_host() -> None:
    headers = sign(
        rsa_key(), "ST$abc", method="GET", target="/n/ns?x=a%2Fb", host="h:8080", date=DATE
    )
    verified(headers, f"date: {DATE}\n(request-target): get /n/ns?x=a%2Fb\nhost: h:8080")
    assert headers.keys() == {"date", "host", "authorization"}


def test_json_signs_its_length_type_and_digest_too() -> None:
    body = b'{"object": "x"}'
    headers = sign(
        rsa_key(), "ST$abc", method="POST", target="/u", host="h", date=DATE, json_body=body
    )
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    verified(
        headers,
        f"date: {DATE}\n(request-target): post /u\nhost: h\ncontent-length: {len(body)}\n"
        f"content-type: application/json\nx-content-sha256: {digest}",
    )


def test_an_empty_json_body_is_signed_as_such() -> None:
    headers = sign(
        rsa_key(), "ST$abc", method="POST", target="/u", host="h", date=DATE, json_body=b""
    )
    assert headers["content-length"] == "0"
    assert headers["x-content-sha256"] == "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
