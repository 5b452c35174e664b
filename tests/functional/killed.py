"""The command, killed at a moment of one's choice."""

import signal

from tests.world import World

#: The command, killed where it is about to call one method: class by module and name.
KILLED = """
import importlib, os, signal, sys

module, owner, name, *words = sys.argv[1:]
setattr(
    getattr(importlib.import_module(module), owner),
    name,
    lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL),
)

from ocihaul.cli import main

main(words)
"""
BEGIN = ("ocihaul.transfer.journal.journal", "Journal", "begin")
CREATE = ("ocihaul.storage.client", "StorageClient", "create_multipart_upload")


def killed_at(w: World, method: tuple[str, str, str], *words: str) -> None:
    ran = w.finish(w.start_python("-c", KILLED, *method, *words))
    assert ran.code == -signal.SIGKILL, ran.err
