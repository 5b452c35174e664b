"""A connection to a Dask cluster, for those who have its address and no client of it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask

# Its log stays off the terminal, as it says at length what we say in a line. Read at the import.
_QUIET = dict.fromkeys(("distributed", "distributed.client", "tornado"), "critical")
dask.config.set({"logging": _QUIET})

import distributed  # noqa: E402

from ocihaul.errors import NetworkError, UsageError  # noqa: E402
from ocihaul.integrations.dask.owner import check_address  # noqa: E402

#: How long the scheduler may take to answer, seconds.
_CONNECT = 20.0
_CLOSE = 2.0


@dataclass(frozen=True, slots=True)
class ClusterAddress:
    """Where a scheduler is (an address, or the path of its scheduler file), and how to talk to it.

    What is None of the TLS files is taken from Dask's own configuration (`distributed.comm.tls`).
    """

    address: str
    ca_file: str | None = None
    cert: str | None = None
    key: str | None = None
    allow_plain_tcp: bool = False


@contextmanager
def connected(where: ClusterAddress) -> Iterator[distributed.Client]:
    """A client of the cluster. Raises UsageError for what is no address, or plain tcp to another
    machine; NetworkError when the scheduler does not answer.
    """
    address = _address(where.address)
    check_address(address, allow_plain_tcp=where.allow_plain_tcp)
    try:
        client = distributed.Client(
            address, security=_security(where, address), timeout=_CONNECT, set_as_default=False
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise NetworkError(
            f"the Dask scheduler at {address} cannot be reached: {error}",
            hint="Check that it runs, the address, and the TLS files: all processes of a cluster "
            "need certificates of the same CA.",
        ) from None
    try:
        yield client
    finally:
        with suppress(OSError, RuntimeError):
            client.close(timeout=_CLOSE)


def _address(text: str) -> str:
    """The address itself; a scheduler file has it in it."""
    if "://" in text:
        return text
    file = Path(text).expanduser()
    if not file.exists():
        raise UsageError(
            f"`dask`: {text} (allowed: tls://HOST:PORT, or the path of a scheduler file)",
            hint="dask scheduler --scheduler-file writes such a file.",
        )
    try:
        document: Any = json.loads(file.read_text(encoding="utf-8"))
        return str(document["address"])
    except (OSError, ValueError, KeyError, TypeError):
        raise UsageError(f"`dask`: {text} is no scheduler file of Dask") from None


def _security(where: ClusterAddress, address: str) -> distributed.Security | None:
    if not address.startswith("tls://"):
        return None
    given = {
        "tls_ca_file": where.ca_file,
        "tls_client_cert": where.cert,
        "tls_client_key": where.key,
    }
    files = {name: str(Path(value).expanduser()) for name, value in given.items() if value}
    return distributed.Security(**files, require_encryption=True)
