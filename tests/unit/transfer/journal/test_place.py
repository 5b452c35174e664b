"""Where the journal lives when nobody has said it."""

import pwd
from pathlib import Path

import pytest

from ocihaul.transfer.journal.journal import state_directory


def test_a_user_without_a_home_has_the_one_that_docker_would_give(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def nobody(uid: int) -> pwd.struct_passwd:
        raise KeyError(uid)

    for name in ("HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    assert state_directory({}) == Path("/.local/state/ocihaul")
    assert state_directory({"OCIHAUL_STATE_DIR": "/state"}) == Path("/state")
