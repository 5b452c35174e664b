"""Writes the files of a session as the official CLI lays them out."""

import io
import os
from configparser import ConfigParser
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from ocihaul.emulator.auth import (
    TENANCY,
    USER,
    EmulatorSession,
    fingerprint,
    private_pem,
    public_pem,
)

REGION = "eu-frankfurt-1"


def write_session_profile(
    directory: Path, profile: str, session: EmulatorSession, *, region: str, passphrase: str | None
) -> Path:
    """`config` with the section, and `sessions/<profile>/` with key pair and token."""
    home = directory / "sessions" / profile
    _directory(directory)
    _directory(home.parent)
    _directory(home)
    key = load_pem_private_key(session.private_key_pem, None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("the session's key is not an RSA key")
    # The official CLI appends this text to the key it writes; readers have to live with it.
    _write(home / "oci_api_key.pem", private_pem(key, passphrase) + b"OCI_API_KEY")
    _write(home / "oci_api_key_public.pem", session.public_key_pem)
    _write(home / "token", session.token.encode())
    section = {
        "fingerprint": session.fingerprint,
        "key_file": str(home / "oci_api_key.pem"),
        "tenancy": TENANCY,
        "region": region,
        "security_token_file": str(home / "token"),
    }
    if passphrase is not None:
        section["pass_phrase"] = passphrase
    return _add_section(directory, profile, section)


def write_api_key_profile(
    directory: Path, profile: str, key: rsa.RSAPrivateKey, *, region: str
) -> Path:
    """`config` with a section that signs with an API key."""
    _directory(directory)
    key_file = directory / f"{profile}.pem"
    _write(key_file, private_pem(key))
    _write(directory / f"{profile}_public.pem", public_pem(key.public_key()))
    section = {
        "user": USER,
        "fingerprint": fingerprint(key.public_key()),
        "key_file": str(key_file),
        "tenancy": TENANCY,
        "region": region,
    }
    return _add_section(directory, profile, section)


def _add_section(directory: Path, profile: str, section: dict[str, str]) -> Path:
    path = directory / "config"
    config = ConfigParser(interpolation=None, default_section="")
    config.optionxform = str  # type: ignore[assignment,method-assign] # names keep their case
    if path.exists():
        config.read(path, encoding="utf-8")
    config[profile] = section
    _keep_apart(config)
    text = io.StringIO()
    config.write(text, space_around_delimiters=False)
    _write(path, text.getvalue().encode())
    return path


def _keep_apart(config: ConfigParser) -> None:
    """Give each section with an API key its own word on what it would inherit of a session.

    Readers in Python, TypeScript and Java take what a section lacks from [DEFAULT]: a token, which
    some then sign with, or the passphrase of another key. Those in Go do not. All read an empty
    value as none.
    """
    default = config["DEFAULT"] if config.has_section("DEFAULT") else {}
    for name in config.sections():
        section = config[name]
        if name == "DEFAULT" or "user" not in section:
            continue
        for key in ("security_token_file", "pass_phrase"):
            if default.get(key):
                section.setdefault(key, "")


def _directory(path: Path) -> None:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)


def _write(path: Path, data: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
    path.chmod(0o600)
