"""Which workers of a cluster may do a job: those that have our version and see the same files.

At the start each worker is asked, and one that cannot do it is an error that names it. Later ones,
and those that turn out to be unfit, are left out, and a notice names them. A proof shows whether a
worker sees the files of the driver.
"""

import os
import pkgutil
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import crc32c

from ocihaul import __version__
from ocihaul.cluster.jobs import Job, check_worker, other_version
from ocihaul.errors import LocalFileError, NetworkError, OcihaulError, SourceError, UsageError
from ocihaul.events import Listener, Notice

if TYPE_CHECKING:
    import distributed


#: What a proof begins with, and how it is called.
_MARK = "ocihaul: a proof for workers: "
_NAME = re.compile(r"\.[0-9a-f]{16}\.ocihaul", re.ASCII)
#: A proof that old is of a driver that was killed, seconds; and none is larger, bytes.
_OLD = 2 * 86400.0
_SMALL = 100
#: Of both ends of a file, bytes.
_END = 2**20


@dataclass(frozen=True, slots=True)
class FileProof:
    """A file by its size (bytes), its time, and the CRC32C of its first and its last MiB."""

    path: str
    size: int
    mtime_ns: int
    ends: tuple[int, int]

    @classmethod
    def of(cls, path: str) -> "FileProof":
        """The file as this process sees it. Raises OSError."""
        with Path(path).open("rb", buffering=0) as file:
            status = os.fstat(file.fileno())
            first = crc32c.crc32c(os.pread(file.fileno(), _END, 0))
            last = crc32c.crc32c(os.pread(file.fileno(), _END, max(0, status.st_size - _END)))
        return cls(path, status.st_size, status.st_mtime_ns, (first, last))

    def difference(self) -> str | None:
        """What this process sees instead; None where it is the same."""
        try:
            here = FileProof.of(self.path)
        except OSError as error:
            return f"{self.path} cannot be read: {error.strerror}"
        if here.size != self.size:
            return f"{self.path} has {here.size} bytes there, {self.size} here"
        if here.mtime_ns != self.mtime_ns:
            return f"{self.path} has another modification time there"
        if here.ends != self.ends:
            return f"{self.path} has other bytes there"
        return None


@dataclass(frozen=True, slots=True)
class DirectoryProof:
    """A directory that gets files: a file in it with a text that cannot be guessed.

    Its name is one of those that unfinished downloads have, so that nothing else takes note of it.
    """

    directory: str
    name: str
    text: str

    def difference(self) -> str | None:
        """Why this process does not write to the same directory; None where it does."""
        path = Path(self.directory, self.name)
        try:
            if path.read_text(encoding="ascii") != self.text:
                return f"{self.directory} is another directory there"
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            return f"{self.directory} is another directory there: {path.name}: {reason}"
        if not os.access(self.directory, os.W_OK):
            return f"{self.directory} cannot be written there"
        return None


@contextmanager
def proved(directory: str) -> Iterator[DirectoryProof]:
    """Put a proof into the directory for as long as the context lasts. Raises LocalFileError."""
    _remove_old(directory)
    name = f".{secrets.token_hex(8)}.ocihaul"
    proof = DirectoryProof(directory, name, _MARK + secrets.token_hex(16))
    path = Path(directory, name)
    try:
        try:
            path.write_text(proof.text, encoding="ascii")
        except OSError as error:
            raise LocalFileError(
                f"{directory} cannot be written: {error.strerror}",
                hint="Check the space and the rights there.",
            ) from error
        yield proof
    finally:
        with suppress(OSError):
            path.unlink()


def _remove_old(directory: str) -> None:
    """Remove what drivers have left that were killed."""
    with suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            if not _NAME.fullmatch(entry.name):
                continue
            with suppress(OSError, ValueError):
                status = entry.stat(follow_symlinks=False)
                old = time.time() - status.st_mtime > _OLD and status.st_size < _SMALL
                if old and Path(entry.path).read_text(encoding="ascii").startswith(_MARK):
                    Path(entry.path).unlink()


def sees_directory(path: str) -> str | None:
    """Why a directory with files cannot be read by this process; None where it can."""
    try:
        with os.scandir(path):
            return None
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"


#: Seconds between two looks at which are there.
_EVERY = 1.0
_SCHEDULER = "scheduler"
_INSTALL = "Install the same version of ocihaul on the driver, the scheduler and the workers."
#: How many a message names.
_NAMED = 5


class NoWorkerLeft(OcihaulError):
    """All workers that there are must not do it: they are unfit, or have failed with it."""


class Workers:
    """The workers that may do `job`. Used by one thread; `ask` makes its calls of the cluster.

    `patience`: how long there may be no worker at all, seconds; then NetworkError. Unless it is
    `eager`, no worker is asked beforehand what it sees: each tells with its first task. Those in
    `same_version` are known to have ours; others are added.
    """

    def __init__(
        self,
        cluster: "distributed.Client",
        job: Job,
        ask: Callable[[Callable[[], Any]], Any],
        *,
        listener: Listener,
        patience: float,
        eager: bool = True,
        same_version: set[str] | None = None,
    ) -> None:
        self._cluster = cluster
        self._ask = ask
        self._job = job
        self._listener = listener
        self._patience = patience
        self._eager = eager
        self._same_version = set() if same_version is None else same_version
        self._names: dict[str, str] = {}
        self._threads: dict[str, int] = {}
        self._unfit: dict[str, str] = {}
        self._looked = -_EVERY
        self._alone_since: float | None = None

    def begin(self) -> None:
        """Ask all that are there. Raises UsageError or SourceError, which names each unfit one."""
        self._check_scheduler()
        self._refresh()
        fresh = list(self._threads)
        unfit = self._other_versions(fresh)
        if unfit:
            raise UsageError(
                f"not all workers have this version: {self._listed(unfit)}",
                hint=_INSTALL,
            )
        unfit = self._asked(fresh) if self._eager else {}
        if unfit:
            raise SourceError(
                f"not all workers see the same: {self._listed(unfit)}",
                hint="All of them need the same file system under the same path, and the right to "
                "use it. Stop those workers, or mount it there.",
            )

    def look(self) -> None:
        """See which are there, now and then. Raises NetworkError when none is, for too long."""
        now = time.monotonic()
        if now - self._looked < _EVERY:
            return
        before = set(self._threads)
        self._refresh()
        fresh = [each for each in self._threads if each not in before and each not in self._unfit]
        if fresh:
            unfit = self._other_versions(fresh)
            if self._eager:
                unfit |= self._asked([each for each in fresh if each not in unfit])
            for address, reason in unfit.items():
                self.leave_out(address, reason)
        self._check_patience(now)

    def leave_out(self, address: str, reason: str) -> None:
        """Give this worker nothing any more, and say so once."""
        if address not in self._unfit:
            self._unfit[address] = reason
            self._listener(Notice(f"{self.named(address)} is left out: {reason}."))

    def name(self, address: str, name: str) -> None:
        """Note what a worker is called that may have come since the last look."""
        self._names.setdefault(address, name)

    def named(self, address: str) -> str:
        """A worker as messages name it."""
        return f"worker {self._names.get(address, '?')} ({address})"

    def present(self, addresses: list[str]) -> bool:
        """Whether one of these is there."""
        return any(each in self._threads for each in addresses)

    @property
    def threads(self) -> int:
        """How many tasks they do at a time."""
        return sum(count for each, count in self._threads.items() if each not in self._unfit)

    def allowed(self, without: frozenset[str] = frozenset()) -> list[str] | None:
        """Those that may get a task, None for any. Raises NoWorkerLeft."""
        if not (self._unfit.keys() & self._threads.keys() or without & self._threads.keys()):
            return None
        left = [each for each in self._threads if each not in self._unfit and each not in without]
        if not left and self._threads:
            unfit = {each: self._unfit.get(each, "it has failed") for each in self._threads}
            raise NoWorkerLeft(
                f"no worker is left that can do it: {self._listed(unfit)}",
                hint="What is finished is kept. Look at these workers, then run it again, with or "
                "without Dask.",
            )
        return left or None

    def _check_scheduler(self) -> None:
        """It unpickles what it passes on, so it needs the same version, too."""
        if _SCHEDULER in self._same_version:
            return
        resolve = partial(self._cluster.run_on_scheduler, pkgutil.resolve_name)
        try:
            version = str(self._ask(lambda: resolve("ocihaul:__version__")))
        except ImportError:
            raise UsageError("ocihaul is not installed for the scheduler", hint=_INSTALL) from None
        if version != __version__:
            what = other_version(version, __version__)
            raise UsageError(f"the scheduler has another version: {what}", hint=_INSTALL)
        self._same_version.add(_SCHEDULER)

    def _refresh(self) -> None:
        self._looked = time.monotonic()
        about: dict[str, Any] = self._ask(lambda: self._cluster.scheduler_info(n_workers=-1))
        there: dict[str, Any] = about["workers"]
        self._threads = {address: int(each["nthreads"]) for address, each in there.items()}
        self._names |= {address: str(each["name"]) for address, each in there.items()}

    def _check_patience(self, now: float) -> None:
        if self.threads:
            self._alone_since = None
            return
        none = "no worker in the cluster" + (" that can do it" if self._threads else "")
        if self._alone_since is None:
            self._alone_since = now
            self._listener(Notice(f"There is {none}: waiting for one."))
        elif now - self._alone_since > self._patience:
            raise NetworkError(
                f"there was {none} for {self._patience:.0f} s",
                hint="What is finished is kept. Start workers and run it again, or run it without "
                "Dask.",
            )

    def _other_versions(self, addresses: list[str]) -> dict[str, str]:
        """Asked by what every Python has: an old version of ours need not know our functions."""
        unknown = [each for each in addresses if each not in self._same_version]
        told = self._run(unknown, pkgutil.resolve_name, "ocihaul:__version__")
        self._same_version |= {each for each, version in told.items() if version == __version__}
        return {
            address: _no_version(version)
            if isinstance(version, BaseException)
            else other_version(str(version), __version__)
            for address, version in told.items()
            if version != __version__ and not isinstance(version, OSError)
        }

    def _asked(self, addresses: list[str]) -> dict[str, str]:
        told = self._run(addresses, check_worker, self._job)
        return {
            address: reason if isinstance(reason, str) else _no_answer(reason)
            for address, reason in told.items()
            if reason is not None and not isinstance(reason, OSError)
        }

    def _run(self, addresses: list[str], function: Any, *args: object) -> dict[str, Any]:
        """What each worker says; an OSError of one that has gone meanwhile."""
        if not addresses:
            return {}
        return dict(
            self._ask(
                lambda: self._cluster.run(function, *args, workers=addresses, on_error="return")
            )
        )

    def _listed(self, unfit: dict[str, str]) -> str:
        shown = [f"{self.named(each)}: {unfit[each]}" for each in list(unfit)[:_NAMED]]
        more = len(unfit) - len(shown)
        return "; ".join(shown) + (f"; and {more} more" if more else "")


def _no_version(error: BaseException) -> str:
    if isinstance(error, ImportError):
        return "ocihaul is not installed there"
    return _no_answer(error)


def _no_answer(error: object) -> str:
    return f"it cannot be asked: {type(error).__name__}: {error}"
