"""What type checkers say of calls of the library, and what `help` says of its options."""

import inspect
import json
import os
import pydoc
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from mypy import api as mypy

import ocihaul
from ocihaul import options
from ocihaul.directories.request import DirectoryDownload, DirectoryUpload
from ocihaul.transfer.download.request import DownloadRequest
from ocihaul.transfer.upload.request import UploadRequest

CALLS = Path(__file__).with_name("rejected_calls.py")
PROJECT = Path(__file__).parents[3]


def rejected() -> list[int]:
    lines = CALLS.read_text().splitlines()
    return [number for number, line in enumerate(lines, 1) if "# rejected: " in line]


@pytest.mark.slow
def test_finding_d06_mypy_rejects_what_is_misspelt_or_mistyped_and_nothing_else(
    tmp_path: Path,
) -> None:
    out, err, status = mypy.run(
        [
            "--strict",
            f"--cache-dir={tmp_path}",
            "--no-error-summary",
            f"--config-file={PROJECT / 'pyproject.toml'}",
            str(CALLS),
        ]
    )
    assert err == ""
    assert [int(line.split(":")[1]) for line in out.splitlines() if ": error: " in line] == (
        rejected()
    )
    assert (len(rejected()), status) == (7, 1)


@pytest.mark.skipif(shutil.which("pyright") is None, reason="pyright is not installed")
def test_pyright_rejects_the_same(tmp_path: Path) -> None:
    settings = {"typeCheckingMode": "strict", "include": [os.path.relpath(CALLS, tmp_path)]}
    project = tmp_path / "pyrightconfig.json"
    project.write_text(json.dumps(settings))
    done = subprocess.run(
        ["pyright", "--outputjson", "-p", str(project), "--pythonpath", sys.executable],
        stdout=subprocess.PIPE,
        check=False,
    )
    found = [
        each["range"]["start"]["line"] + 1
        for each in json.loads(done.stdout)["generalDiagnostics"]
        if each["severity"] == "error"
    ]
    assert sorted(set(found)) == rejected()


CLIENT = ocihaul.Client


@pytest.mark.parametrize(
    ("call", "allowed"),
    [
        (CLIENT.upload, options.UploadOptions),
        (CLIENT.download, options.DownloadOptions),
        (CLIENT.upload_directory, options.DirectoryUploadOptions),
        (CLIENT.download_directory, options.DirectoryDownloadOptions),
    ],
    ids=lambda each: each.__name__,
)
def test_help_names_every_option_with_its_default(call: Callable[..., Any], allowed: type) -> None:
    shown = documented(call)
    assert shown.keys() == get_type_hints(allowed).keys()
    assert all(shown.values())


def documented(call: Callable[..., Any]) -> dict[str, str]:
    """The options in the help of `call`, each with its default; `a, b (c)` gives both the same."""
    text = " ".join(pydoc.plain(pydoc.render_doc(call)).split())
    found = re.search(r"Options \(default\), sizes in bytes: (.*?)\. `ocihaul\.options\.", text)
    assert found, text
    result: dict[str, str] = {}
    waiting: list[str] = []
    for name, default in re.findall(r"(\w+)(?: \(((?:[^()]|\(\))*)\))?(?:, |$)", found[1]):
        waiting.append(name)
        if default:
            result |= dict.fromkeys(waiting, default.split(":")[0].split(";")[0])
            waiting = []
    assert not waiting, f"without a default: {waiting}"
    return result


@pytest.mark.parametrize(
    ("call", "request_type"),
    [
        (CLIENT.upload, UploadRequest),
        (CLIENT.download, DownloadRequest),
        (CLIENT.upload_directory, DirectoryUpload),
        (CLIENT.download_directory, DirectoryDownload),
    ],
    ids=lambda each: each.__name__,
)
def test_the_defaults_in_the_help_are_those_of_the_requests(
    call: Callable[..., Any], request_type: type
) -> None:
    shown = documented(call)
    parameters = inspect.signature(request_type).parameters
    checked = {
        name: (shown[name], str(parameters[name].default))
        for name in shown.keys() & parameters.keys()
        if isinstance(parameters[name].default, bool)
    }
    assert len(checked) >= 2
    assert {name: ours for name, (ours, _) in checked.items()} == {
        name: real for name, (_, real) in checked.items()
    }
