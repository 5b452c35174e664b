"""The command in processes that are forked from a warm one: a start costs milliseconds, not half a
second, so a hundred of them can be killed.

Parts and ranges are smaller than the service allows, so that small trees have large files.
"""

import multiprocessing
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from ocihaul.cli.app import run
from ocihaul.directories import download, upload
from ocihaul.transfer import plan
from tests.world import MIB, Ran, World

#: Bytes of a part and of a range.
PART = MIB

_forkserver = multiprocessing.get_context("forkserver")
_forkserver.set_forkserver_preload([__name__])


@dataclass
class Forked:
    """A command under way; what it says goes into files."""

    world: World
    process: ForkServerProcess
    out: Path
    err: Path

    def ended(self) -> bool:
        return not self.process.is_alive()

    def kill(self) -> bool:
        """kill -9, and whether it came before the end."""
        self.process.kill()
        self.process.join()
        return self.process.exitcode == -signal.SIGKILL

    def wait(self, seconds: float) -> bool:
        """Wait so long for its end, and whether it came."""
        self.process.join(seconds)
        return self.ended()

    def finish(self) -> Ran:
        """Wait for it; there must be no secret in what it has said."""
        return self.world.checked(self.ran())

    def ran(self) -> Ran:
        """Wait for it; what it has said may hold anything."""
        self.process.join()
        code = self.process.exitcode
        assert code is not None
        return Ran(code, self.out.read_text(), self.err.read_text())


def start(
    w: World,
    *args: str,
    stdin: Path | None = None,
    largest_file: int | None = None,
    part_size: int = PART,
    environ: Mapping[str, str] | None = None,
) -> Forked:
    """Start a command in the environment_and_home of `w`.

    `stdin`: a file whose bytes come through a pipe. `largest_file`: no file that it writes can
    become larger, in bytes. `part_size`: bytes of a part and of a range, unless flags say it.
    `environ`: variables beside those of `w`.
    """
    out, err = w.home / "forked.out", w.home / "forked.err"
    files = (str(out), str(err), None if stdin is None else str(stdin))
    environment_and_home = w.environ() | dict(environ or {})
    process = _forkserver.Process(
        target=_child, args=(args, environment_and_home, files, largest_file, part_size)
    )
    process.start()
    return Forked(w, process, out, err)


def _child(
    args: tuple[str, ...],
    environ: Mapping[str, str],
    files: tuple[str, str, str | None],
    largest_file: int | None,
    part_size: int,
) -> None:
    os.environ.clear()
    os.environ.update(environ)
    out, err, stdin = files
    for path, number in ((out, 1), (err, 2)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(file, number)
        os.close(file)
    if stdin is not None:
        # It ends with its reader, however that ends.
        feeder = subprocess.Popen(["cat", stdin], stdout=subprocess.PIPE)
        assert feeder.stdout is not None
        os.dup2(feeder.stdout.fileno(), 0)
        sys.stdin = os.fdopen(0)  # multiprocessing has put the null device there
        feeder.stdout.close()
    if largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    plan.LIMITS = plan.ServiceLimits(smallest_part=1, default_part=part_size)
    for module in (download, upload):
        module.DEFAULT_PART_SIZE = part_size  # type: ignore[attr-defined]  # a constant
    sys.exit(run(args))
