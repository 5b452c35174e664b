"""Read and write private and public keys in PEM."""

import hashlib
import re
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import (
    RSAPrivateKey,
    RSAPrivateNumbers,
    RSAPublicKey,
)
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from ocihaul.errors import CredentialError
from ocihaul.redaction import hold, hold_key

_END = re.compile(rb"-----END [A-Z ]*PRIVATE KEY-----")


def load_key(
    pem: bytes, *, where: str, passphrase: str | None = None, test_primes: bool = False
) -> RSAPrivateKey:
    """Read an RSA private key from PEM; `where` names its origin in errors.

    Its numbers have to belong together. Whether its factors are primes takes OpenSSL about 30 ms,
    more than all else of a small upload's start: only `test_primes` asks for it.

    The official CLI appends the text OCI_API_KEY after the END line: whatever follows is ignored.
    Raises CredentialError.
    """
    if not pem.strip():
        raise CredentialError(f"{where} is empty")
    hold_key(pem)
    hold(passphrase or "", "password")
    end = _END.search(pem)
    if end is None:
        raise CredentialError(f"{where} is not a private key in PEM form, or it is cut")
    try:
        key = load_pem_private_key(
            pem[: end.end()] + b"\n",
            passphrase.encode() if passphrase else None,
            unsafe_skip_rsa_key_validation=not test_primes,
        )
    except TypeError:
        # cryptography's word for "a passphrase is needed" and for "none is needed".
        if passphrase is not None:
            return load_key(pem, where=where, test_primes=test_primes)
        raise CredentialError(
            f"{where} is protected by a passphrase",
            hint="Set OCI_CLI_PASSPHRASE, or pass_phrase in the profile.",
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        wrong = " (or the passphrase is wrong)" if passphrase else ""
        raise CredentialError(f"{where} is not a readable private key{wrong}") from None
    if not isinstance(key, RSAPrivateKey):
        raise CredentialError(f"{where} is not an RSA key", hint="OCI signs with RSA keys only.")
    if not _numbers_belong_together(key.private_numbers()):
        raise CredentialError(f"{where} is damaged: its numbers do not belong together")
    return key


def _numbers_belong_together(key: RSAPrivateNumbers) -> bool:
    """Return whether the numbers are those of one private key (RFC 8017, 3.2)."""
    e, n = key.public_numbers.e, key.public_numbers.n
    factors = (key.p, key.q)
    return (
        all(factor > 2 and factor % 2 for factor in factors)
        and key.p * key.q == n
        and 2 < e < n
        and 0 < key.d < n
        and all(e * key.d % (factor - 1) == 1 for factor in factors)
        and key.dmp1 == key.d % (key.p - 1)
        and key.dmq1 == key.d % (key.q - 1)
        and key.iqmp < key.p
        and key.iqmp * key.q % key.p == 1
    )


def read_key_file(
    path: Path, *, passphrase: str | None = None, test_primes: bool = False
) -> RSAPrivateKey:
    """Read the RSA private key in a file with `load_key`. Errors name the file."""
    try:
        pem = path.read_bytes()
    except OSError as error:
        raise CredentialError(f"the key file {path} cannot be read: {error.strerror}") from error
    where = f"the key file {path}"
    return load_key(pem, where=where, passphrase=passphrase, test_primes=test_primes)


def read_public_key_file(path: Path) -> RSAPublicKey:
    """Read the RSA public key in a file. Raises CredentialError, which names the file."""
    try:
        key = load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise CredentialError(
            f"the public key file {path} cannot be read: {error.strerror}"
        ) from error
    except ValueError:
        raise CredentialError(
            f"{path} is not a public key in PEM form",
            hint="It is made with: openssl rsa -in key.pem -pubout -out public.pem",
        ) from None
    if not isinstance(key, RSAPublicKey):
        raise CredentialError(f"{path} is not an RSA key", hint="OCI signs with RSA keys only.")
    return key


def private_pem(key: RSAPrivateKey, passphrase: str | None = None) -> bytes:
    """Return the key as the official CLI writes it: PKCS #8, and a mark after the END line."""
    encryption: KeySerializationEncryption = NoEncryption()
    if passphrase:
        hold(passphrase, "password")
        encryption = BestAvailableEncryption(passphrase.encode())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption) + b"OCI_API_KEY"


def public_pem(key: RSAPublicKey) -> bytes:
    """Return the public key in PEM (SubjectPublicKeyInfo)."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def fingerprint(key: RSAPublicKey) -> str:
    """Return the name of a key in OCI: the MD5 of its DER form, in pairs of hex digits."""
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.md5(der, usedforsecurity=False).digest().hex(":")
