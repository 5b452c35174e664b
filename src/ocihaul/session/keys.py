"""Reading a private key."""

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from ocihaul.errors import CredentialError

_END = b"PRIVATE KEY-----"


def load_key(pem: bytes, *, where: str, passphrase: str | None = None) -> RSAPrivateKey:
    """An RSA private key from PEM; `where` names its origin in errors.

    The stock CLI appends the text OCI_API_KEY after the END line: whatever follows is ignored.
    Raises CredentialError.
    """
    if not pem.strip():
        raise CredentialError(f"{where} is empty")
    end = pem.rfind(_END)
    if end < 0:
        raise CredentialError(f"{where} is not a private key in PEM form, or it is cut")
    try:
        key = load_pem_private_key(
            pem[: end + len(_END)] + b"\n", passphrase.encode() if passphrase else None
        )
    except TypeError:
        # cryptography's word for "a passphrase is needed" and for "none is needed".
        if passphrase is not None:
            return load_key(pem, where=where)
        raise CredentialError(
            f"{where} is protected by a passphrase",
            hint="Set OCI_CLI_PASSPHRASE, or pass_phrase in the profile.",
        ) from None
    except ValueError:
        wrong = " (or the passphrase is wrong)" if passphrase else ""
        raise CredentialError(f"{where} is not a readable private key{wrong}") from None
    if not isinstance(key, RSAPrivateKey):
        raise CredentialError(f"{where} is not an RSA key", hint="OCI signs with RSA keys only.")
    return key


def read_key_file(path: Path, *, passphrase: str | None = None) -> RSAPrivateKey:
    """The RSA private key in a file. Raises CredentialError that names the file."""
    try:
        pem = path.read_bytes()
    except OSError as error:
        raise CredentialError(f"the key file {path} cannot be read: {error.strerror}") from error
    return load_key(pem, where=f"the key file {path}", passphrase=passphrase)
