"""kill -9 of the process that renews, at every line of its way: the next one takes over at once."""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ocihaul.session.credential import SessionToken
from ocihaul.session.store import CredentialStore, write_private
from tests.world import World, world

#: "renew": a process renews. A number: a process is killed at that step of its way through the
#: session's code. A step is a line of Python that is about to run, so the kills fall before and
#: after the lock, the call, the temporary file, the rename and the unlock.
VICTIMS = r"""
import json, os, signal, sys, time
from pathlib import Path
import ocihaul.filesystem, ocihaul.session
from ocihaul.config import Flags, resolve
from ocihaul.session.session import Session

config, endpoint = sys.argv[1:]
rooms = (os.path.dirname(ocihaul.session.__file__), ocihaul.filesystem.__file__)
flags = Flags(config_file=config, auth="security_token", endpoint=endpoint, auth_endpoint=endpoint)

def renew():
    settings = resolve(flags, {}, Path(config).parent)
    session = Session.from_settings(settings)
    return session.credential().token.digest

def die_at(step, write):
    # With step 0 nobody dies, and every step is told.
    count = 0
    def line(frame, event, arg):
        nonlocal count
        if event == "line":
            count += 1
            where = f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_code.co_name}"
            if count == step or not step:
                os.write(write, where.encode() + b"\n")
            if count == step:
                os.kill(os.getpid(), signal.SIGKILL)
        return line
    sys.settrace(lambda frame, *_: line if frame.f_code.co_filename.startswith(rooms) else None)

def child(work):
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            work(write)
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as file:
        said = file.read()
    return said, os.WIFSIGNALED(os.waitpid(pid, 0)[1])

def victim(step):
    def work(write):
        settings = resolve(flags, {}, Path(config).parent)
        session = Session.from_settings(settings)
        die_at(step, write)
        session.credential()
    return work

for request in sys.stdin:
    if request.strip() == "renew":
        began = time.monotonic()
        said, _ = child(lambda write: os.write(write, renew().encode()))
        print(json.dumps({"digest": said, "took": time.monotonic() - began}), flush=True)
    else:
        said, killed = child(victim(int(request)))
        print(json.dumps({"steps": said.split(), "killed": killed}), flush=True)
"""


@dataclass
class Victims:
    """The process that forks them; it has no threads."""

    process: "subprocess.Popen[str]"

    def ask(self, what: int | str) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{what}\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


@pytest.fixture
def victims(w: World) -> Iterator[Victims]:
    with subprocess.Popen(
        [sys.executable, "-c", VICTIMS, str(w.config), w.oci.endpoint],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Victims(process)
        process.kill()


def due_token(w: World, spare: int) -> SessionToken:
    """A token without life left to sign with; `spare` seconds make it differ from the others."""
    now = int(time.time())
    text = w.oci.issue_token(w.logins[0], iat=now - 3600 - spare, exp=now + 60)
    write_private(w.token_file, text.encode())
    return SessionToken.parse(text)


#: Every second step here is tried, and some of all others.
PLACES = {
    "renewer.py:_renew",  # before the lock and, after it, inside
    "store.py:lock",
    "state.py:reload",  # the lock is held, nothing is asked yet
    "providers.py:ask",  # the call, and its answer
    "providers.py:read_token",  # the service has renewed, no other process knows
    "store.py:_stage",  # the temporary file, empty and full
    "store.py:_moved",  # before the rename
    "filesystem.py:sync_directory",  # after it
    "state.py:adopt",  # on disk, still locked
}


def chosen(steps: list[str]) -> list[int]:
    """The numbers of the steps at which somebody is to die; they count from 1."""
    seen: Counter[str] = Counter()
    numbers = []
    for number, where in enumerate(steps, 1):
        seen[where] += 1
        if (where in PLACES and seen[where] % 2) or number % 20 == 0:
            numbers.append(number)
    return numbers


@pytest.mark.slow
def test_at_whatever_step_it_is_killed_the_pair_is_whole_and_the_next_one_renews(
    w: World, victims: Victims
) -> None:
    died: Counter[str] = Counter()
    renewed_before_death, slowest = 0, 0.0
    due_token(w, 0)
    whole_way = victims.ask(0)
    assert not whole_way["killed"]
    for step in chosen(whole_way["steps"]):
        old = due_token(w, step)
        answer = victims.ask(step)
        assert answer["killed"], answer
        died[answer["steps"][0]] += 1
        pair = CredentialStore(w.token_file, w.key_file).read_once()  # at once: nothing is torn
        assert pair.token.belongs_to(pair.key.public_key()), answer
        renewed_before_death += pair.token.raw != old.raw
        survivor = victims.ask("renew")
        slowest = max(slowest, survivor["took"])
        after = CredentialStore(w.token_file, w.key_file).read_once().token
        assert survivor["digest"] == after.digest, answer
        assert after.raw != old.raw, answer
        assert after.expires_at > time.time() + 3000, answer
    assert set(died) >= PLACES, PLACES - set(died)
    assert sum(died.values()) > 40, died
    assert 0 < renewed_before_death < sum(died.values())
    assert slowest < 5, f"{slowest:.1f} s"
