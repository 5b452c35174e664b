"""Trees: the official CLI reads what we wrote, and we read what it wrote."""

import io
import json
import os
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from ocihaul.cli import app

from .conftest import Official

OLD = 1_700_000_000
NAMES = ["a", "d/b", "d/e/c", "sp ace", "ü", "-x", "new\nline", "a.b/c", "a-b"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "src"
    for name in NAMES:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode() * 100)
        os.utime(path, (OLD, OLD))
    (root / "empty").mkdir()
    return root


def ours(official: Official, *arguments: str) -> Any:
    """The same command with our tool; its JSON."""
    name, *rest = arguments
    environ = {
        "HOME": str(official.home),
        "PATH": os.environ["PATH"],
        "OCIHAUL_STATE_DIR": str(official.home / "state"),
        "OCIHAUL_AUTH_ENDPOINT": official.oci.endpoint,
    }
    where = ["--config-file", str(official.config), "--auth", "security_token"]
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.dict(os.environ, environ, clear=True),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        code = app.run(
            [
                "os",
                "object",
                name,
                *official.place(),
                *where,
                "--endpoint",
                official.oci.endpoint,
                *rest,
            ]
        )
    assert code == 0, err.getvalue()
    return json.loads(out.getvalue())


def theirs(official: Official, *arguments: str) -> Any:
    """The official CLI's JSON, which its progress bar and its chatter stand before."""
    name, *rest = arguments
    done = official.run("os", "object", name, *official.place(), *rest)
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    text = done.stdout.decode()
    return json.loads(text[text.index("{") :])


def files(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


def test_the_stock_cli_reads_what_we_wrote(
    official: Official, source: Path, tmp_path: Path
) -> None:
    ours(official, "bulk-upload", "--src-dir", str(source))
    dest = tmp_path / "dest"
    theirs(official, "bulk-download", "--dest-dir", str(dest))
    assert files(dest) == files(source)


def test_we_read_what_the_stock_cli_wrote(official: Official, source: Path, tmp_path: Path) -> None:
    theirs(official, "bulk-upload", "--src-dir", str(source))
    dest = tmp_path / "dest"
    ours(official, "bulk-download", "--dest-dir", str(dest))
    assert files(dest) == files(source)


@pytest.mark.parametrize("ours_first", [True, False])
def test_one_syncs_and_the_other_has_nothing_to_do(
    official: Official, source: Path, tmp_path: Path, ours_first: bool
) -> None:
    first, second = (ours, theirs) if ours_first else (theirs, ours)
    dest = tmp_path / "dest"
    done = first(official, "sync", "--src-dir", str(source), "--prefix", "p/")
    expected = sorted(f"p/{name}" for name in [*NAMES, "empty/"])
    assert sorted(done["uploaded-objects"]) == expected
    assert official.oci.object_names("backups") == expected
    done = second(official, "sync", "--src-dir", str(source), "--prefix", "p/", "--delete")
    assert done["uploaded-objects"] == {}
    assert sorted(done["skipped-objects"]) == expected
    assert done["deleted-objects"] == []
    done = first(official, "sync", "--dest-dir", str(dest), "--prefix", "p/")
    assert sorted(done["downloaded-objects"]) == expected
    done = second(official, "sync", "--dest-dir", str(dest), "--prefix", "p/", "--delete")
    assert done["downloaded-objects"] == []
    assert sorted(done["skipped-objects"]) == expected
    assert files(dest) == files(source)


def test_the_same_flags_give_the_same_answer(
    official: Official, source: Path, tmp_path: Path
) -> None:
    """The JSON of both, but for what the service makes anew: etags and times."""

    def shape(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                name: "…" if name in {"etag", "last-modified"} else shape(each)
                for name, each in value.items()
            }
        return sorted(value) if isinstance(value, list) else value

    answers = []
    for index, run in enumerate((theirs, ours)):
        prefix = ["--prefix", "p/"]
        dest = str(tmp_path / f"dest{index}")
        answers.append(
            [
                run(official, "bulk-upload", "--src-dir", str(source), *prefix, "--overwrite",
                    "--verify-checksum", "--exclude", "d/*"),
                run(official, "bulk-upload", "--src-dir", str(source), *prefix, "--no-overwrite",
                    "--include", "*b*"),
                run(official, "bulk-download", "--dest-dir", dest, *prefix),
                run(official, "bulk-download", "--dest-dir", dest, *prefix, "--no-overwrite"),
                run(official, "bulk-delete", *prefix, "--dry-run"),
                run(official, "bulk-delete", *prefix, "--force"),
            ]
        )  # fmt: skip
    assert list(map(shape, answers[0])) == list(map(shape, answers[1]))
