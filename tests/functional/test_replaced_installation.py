"""A package is replaced, or its disk goes, while a session is kept: the next renewal works."""

from pathlib import Path

from tests.world import world

_SCRIPT = """
import builtins, sys, time
import ocihaul

session = ocihaul.Session.from_profile().__enter__()
until = time.monotonic() + 60
while "encodings.idna" not in sys.modules and time.monotonic() < until:
    time.sleep(0.05)  # its own thread loads it: there is nothing else to wait on
import encodings.idna  # waits until all of it is there

# From here on nothing can be loaded any more.
imported = builtins.__import__
refused = []

def refusing(name, globals=None, locals=None, fromlist=(), level=0):
    if level == 0 and name not in sys.modules:
        refused.append(name)
        raise ImportError(name)
    return imported(name, globals, locals, fromlist, level)

builtins.__import__ = refusing
generation = session.status().generation
while session.status().generation == generation and time.monotonic() < until:
    time.sleep(0.05)  # its own thread renews it: to ask for a credential would help it along
builtins.__import__ = imported
print(session.status().generation - generation, refused)
session.close()
"""


def test_a_session_is_renewed_although_nothing_can_be_loaded_any_more(tmp_path: Path) -> None:
    with world(tmp_path, token_ttl=8.0) as w:
        ran = w.finish(w.start_python("-c", _SCRIPT))
        assert ran.out.strip() == "1 []", ran
        assert w.refreshes() == 1
