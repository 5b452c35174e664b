"""The file that a receipt goes to: checked before a byte is sent, replaced as a whole.

It holds no secret, so it gets the usual mode; but only its owner may write a proof.
"""

import contextlib
import os
import secrets
import stat
from pathlib import Path

from ocihaul.errors import ReceiptError, UsageError
from ocihaul.filesystem import sync_directory, sync_file
from ocihaul.transfer.receipts.receipt import SCHEMA

#: How much of a file is read to see whether it is a receipt: its second line says so.
_HEAD = 200
#: Of a receipt, before the umask.
_MODE = 0o644


def check_place(path: Path, source: Path | None) -> None:
    """Raise UsageError when a receipt cannot be written there, or must not be."""
    path = _behind_links(path)
    try:
        status = path.stat()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise _impossible(path, error) from None
    else:
        if not stat.S_ISREG(status.st_mode):
            raise UsageError(
                f"`receipt`: {path} is not a regular file", hint="Name a file of its own for it."
            )
        if source is not None and _are_one(path, source):
            raise UsageError(
                f"`receipt`: {path} is the file to upload", hint="Name another file for it."
            )
        _check_replaceable(path)
    trial = _beside(path)
    try:
        trial.touch(mode=_MODE, exist_ok=False)
        trial.unlink()
    except OSError as error:
        raise _impossible(path, error) from None


def write_receipt(path: Path, text: str) -> bool:
    """Write a receipt there, whole or not at all; a link stays one.

    Return whether the file system has put it on disk, which not every one can. Raises
    ReceiptError.
    """
    path = _behind_links(path)
    new = _beside(path)
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            durable = sync_file(file.fileno())
        new.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            new.unlink()
        raise ReceiptError(f"the receipt {path} cannot be written: {error.strerror}") from error
    return durable


def _behind_links(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # links in a circle: told when it is looked at
        return path


def _are_one(path: Path, source: Path) -> bool:
    try:
        return path.samefile(source)
    except OSError:  # there is no source: that is told when it is opened
        return False


def _check_replaceable(path: Path) -> None:
    """Raise UsageError unless the file is empty or an older receipt."""
    try:
        with path.open("rb") as file:
            start = file.read(_HEAD)
    except OSError as error:
        raise _impossible(path, error) from None
    if start and SCHEMA.encode() not in start:
        raise UsageError(
            f"`receipt`: {path} exists and is not a receipt",
            hint="Name another file, or remove this one.",
        )


def _beside(path: Path) -> Path:
    return path.with_name(f".ocihaul-{os.getpid()}-{secrets.token_hex(4)}.tmp")


def _impossible(path: Path, error: OSError) -> UsageError:
    return UsageError(
        f"`receipt`: {path} cannot be written: {error.strerror}",
        hint="Name a file in a directory that exists and can be written to.",
    )
