"""What the state directory says after a kill, read from a copy: the next run finds it untouched."""

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.storm.pieces import Part

#: The parts of pipes are recorded nowhere: they cannot be read again.
_PARTS = "SELECT upload_id, number FROM parts JOIN uploads ON uploads.id = parts.upload"
_FILES = "SELECT name FROM files JOIN runs ON runs.id = files.run"


@dataclass(frozen=True)
class State:
    """The uploads that the journal knows, their parts, and the files of unfinished runs."""

    uploads: frozenset[str] = frozenset()
    parts: frozenset[Part] = frozenset()
    files: frozenset[str] = frozenset()
    #: What SQLite says of the files themselves, where it is not "ok".
    damage: tuple[str, ...] = ()


def read_state(directory: Path) -> State:
    """The state as the next run will find it. What was never made holds nothing."""
    damage: list[str] = []
    with _copied(directory, "journal.sqlite3") as journal:
        uploads = _rows(journal, "SELECT upload_id FROM uploads", damage)
        parts = _rows(journal, _PARTS, damage)
    with _copied(directory, "trees.sqlite3") as ledger:
        files = _rows(ledger, _FILES, damage)
    return State(
        frozenset(str(upload_id) for (upload_id,) in uploads),
        frozenset(Part(str(upload_id), int(number)) for upload_id, number in parts),
        frozenset(str(name) for (name,) in files),
        tuple(damage),
    )


@contextmanager
def _copied(directory: Path, name: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as place:
        for suffix in ("", "-wal"):
            source = directory / (name + suffix)
            if source.exists():
                shutil.copyfile(source, Path(place) / source.name)
        yield Path(place) / name


def _rows(path: Path, query: str, damage: list[str]) -> list[Any]:
    if not path.exists():
        return []
    with closing(sqlite3.connect(path)) as database:
        try:
            verdict = database.execute("PRAGMA integrity_check").fetchall()
            if verdict != [("ok",)]:
                damage.append(f"{path.name}: {verdict}")
            return database.execute(query).fetchall()
        except sqlite3.OperationalError as error:
            # Killed before its tables were there.
            if "no such table" not in str(error):
                damage.append(f"{path.name}: {error}")
        except sqlite3.DatabaseError as error:
            damage.append(f"{path.name}: {error}")
    return []
