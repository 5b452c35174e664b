"""A connection to a Dask cluster by its address, where the caller has no client of it."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import dask

# Its log stays off the terminal, as it says at length what we say in a line. Read at the import.
_QUIET = dict.fromkeys(("distributed", "distributed.client", "tornado"), "critical")
dask.config.set({"logging": _QUIET})

import distributed  # noqa: E402

from ocihaul.documents import DocumentError, read_object, read_text, text  # noqa: E402
from ocihaul.errors import NetworkError, UsageError  # noqa: E402
from ocihaul.integrations.dask.owner import check_address  # noqa: E402

#: How long the scheduler may take to answer, and how long the client may take to close, seconds.
_CONNECT = 20.0
_CLOSE = 2.0
#: A scheduler file has some hundred bytes, and with many workers some megabytes.
_LARGEST_FILE = 16 * 2**20


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


def _address(given: str) -> str:
    """The address itself; a scheduler file has it in it."""
    if "://" in given:
        return given
    hint = "dask scheduler --scheduler-file writes such a file."
    try:
        document = read_text(Path(given).expanduser(), most=_LARGEST_FILE)
        return text(read_object(document), "address")
    except (FileNotFoundError, RuntimeError):  # RuntimeError: "~" where there is no home
        raise UsageError(
            f"`dask`: {given} (allowed: tls://HOST:PORT, or the path of a scheduler file)",
            hint=hint,
        ) from None
    except OSError as error:
        raise UsageError(f"`dask`: {given} cannot be read: {error.strerror}", hint=hint) from None
    except DocumentError as error:
        raise UsageError(
            f"`dask`: {given} is no scheduler file of Dask ({error})", hint=hint
        ) from None


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
