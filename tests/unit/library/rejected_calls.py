"""Calls that type checkers reject, each in the line that says why; never run. See test_types.py."""

from typing import assert_never

import ocihaul
from ocihaul.events import AnyEvent, FileFailed, Notice

client = ocihaul.Client.from_profile()

ocihaul.Client.from_profile(reigon="eu-frankfurt-1")  # rejected: misspelt
client.upload("a.tar", "backups", storage_teir="Archive")  # rejected: misspelt
client.upload("a.tar", "backups", part_size="128M")  # rejected: a text for bytes
client.download("backups", "a.tar", "a.tar", existing=True)  # rejected: of uploads
ocihaul.upload_directory("photos", "backups", mode="replace")  # rejected: a text for SyncMode
ocihaul.download("backups", "a.tar", "a.tar", session_wait="1h")  # rejected: a text for seconds


def name(event: AnyEvent) -> str:
    match event:
        case Notice():
            return event.text
        case FileFailed():
            return event.name
        case _:
            assert_never(event)  # rejected: the other events are missing


#: What these checkers have to accept: the same calls, as they are meant.
client.upload("a.tar", "backups", storage_tier="Archive", part_size=128 * 2**20)
client.download("backups", "a.tar", "a.tar", verify=True)
ocihaul.upload_directory("photos", "backups", mode=ocihaul.SyncMode.REPLACE)
ocihaul.download("backups", "a.tar", "a.tar", session_wait=3600)
