"""The command in processes that are forked from a warm one: a start costs milliseconds, not half a
second, so a hundred of them can be killed.

Parts and ranges are smaller than the service allows, so that small trees have large files.
"""

import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from ocihaul.cli.app import run
from ocihaul.transfer import plan
from ocihaul.transfer.downloads import ranges
from ocihaul.trees import download, upload
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

    def finish(self) -> Ran:
        """Wait for it; there must be no secret in what it has said."""
        self.process.join()
        code = self.process.exitcode
        assert code is not None
        return self.world.checked(Ran(code, self.out.read_text(), self.err.read_text()))


def start(w: World, *args: str) -> Forked:
    """Start a command in the surroundings of `w`."""
    out, err = w.home / "forked.out", w.home / "forked.err"
    process = _forkserver.Process(target=_child, args=(args, w.environ(), str(out), str(err)))
    process.start()
    return Forked(w, process, out, err)


def _child(args: tuple[str, ...], environ: Mapping[str, str], out: str, err: str) -> None:
    os.environ.clear()
    os.environ.update(environ)
    for path, number in ((out, 1), (err, 2)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(file, number)
        os.close(file)
    plan.SMALLEST_PART = 1
    for module in (plan, ranges, download, upload):
        module.DEFAULT_PART_SIZE = PART  # type: ignore[attr-defined]  # a constant
    sys.exit(run(args))
