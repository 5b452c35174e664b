"""The HTTP signature of OCI requests. Each that is made is held for redaction.

draft-cavage-http-signatures-08 as OCI uses it: RSA PKCS#1 v1.5 with SHA-256, version "1"
(https://docs.oracle.com/iaas/Content/API/Concepts/signingrequests.htm). Which headers are
signed depends on the body: none, a JSON document, or the bytes of an object, whose content
headers Object Storage exempts.
"""

import base64
import hashlib

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from ocihaul.redaction import hold


def sign(
    key: RSAPrivateKey,
    key_id: str,
    *,
    method: str,
    target: str,
    host: str,
    date: str,
    json_body: bytes | None = None,
) -> dict[str, str]:
    """The headers that authenticate one attempt of one request, lower-case.

    `target` is path and query exactly as they go on the wire, `host` the Host header as sent,
    `date` an RFC 1123 date in GMT. With `json_body` the body's length, type and SHA-256 are
    signed too and returned; leave it None for GET, HEAD, DELETE and for object bytes.
    """
    signed = {
        "date": date,
        "(request-target)": f"{method.lower()} {target}",
        "host": host,
    }
    if json_body is not None:
        signed["content-length"] = str(len(json_body))
        signed["content-type"] = "application/json"
        signed["x-content-sha256"] = base64.b64encode(hashlib.sha256(json_body).digest()).decode()
    text = "\n".join(f"{name}: {value}" for name, value in signed.items())
    made = key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
    signature = base64.b64encode(made).decode()
    hold(signature, "signature")
    headers = {name: value for name, value in signed.items() if name != "(request-target)"}
    headers["authorization"] = (
        f'Signature algorithm="rsa-sha256",headers="{" ".join(signed)}",keyId="{key_id}",'
        f'signature="{signature}",version="1"'
    )
    return headers
