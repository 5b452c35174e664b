"""A terminal or a locale that lacks the characters of a name: the work is done, and told."""

import json
from pathlib import Path

import pytest

from tests.functional.directories import command, make
from tests.world import world

NAMES = ["b\u00fccher", "\u6f22\u5b57", "\U0001f600"]


@pytest.mark.parametrize("encoding", ["ascii", "ascii:strict"])
def test_what_cannot_be_encoded_is_escaped_and_the_answer_stays_json(
    tmp_path: Path, encoding: str
) -> None:
    with world(tmp_path) as w:
        src = make(tmp_path / "src", *NAMES)
        upload = command("bulk-upload", "--src-dir", str(src), "--overwrite")
        ran = w.run(*upload, PYTHONIOENCODING=encoding)
        assert ran.code == 0, ran.err
        assert ran.out.isascii()
        assert list(json.loads(ran.out)["uploaded-objects"]) == NAMES
        ran = w.run(*command("list"), PYTHONIOENCODING=encoding)
        assert ran.code == 0, ran.err
        assert [each["name"] for each in json.loads(ran.out)["data"]] == NAMES
