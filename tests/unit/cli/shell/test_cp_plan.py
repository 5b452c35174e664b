"""Addresses of objects, and what `cp` makes of its words."""

from pathlib import Path

import pytest

from ocihaul.cli.shell.cp_plan import Copy, plan
from ocihaul.cli.shell.uri import ObjectUri
from ocihaul.errors import UsageError


@pytest.mark.parametrize(
    ("text", "bucket", "namespace", "name"),
    [
        ("oci://b", "b", None, ""),
        ("oci://b/", "b", None, ""),
        ("oci://b@ns/x", "b", "ns", "x"),
        ("oci://b/a/b@c//d%20 e/", "b", None, "a/b@c//d%20 e/"),
    ],
)
def test_an_address_is_read(text: str, bucket: str, namespace: str | None, name: str) -> None:
    uri = ObjectUri.parse(text)
    assert (uri.bucket, uri.namespace, uri.name) == (bucket, namespace, name)
    assert ObjectUri.parse(str(uri)) == uri


@pytest.mark.parametrize("text", ["oci://", "oci:///x", "oci://b@/x", "s3://b/x", "b/x", "oci:/b"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="oci://BUCKET"):
        ObjectUri.parse(text)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "f").touch()
    (tmp_path / "g").touch()
    (tmp_path / "d").mkdir()
    return tmp_path


def planned(words: str) -> list[str]:
    copies = plan([word for word in words.split() if word != "-r"], recursive="-r" in words.split())
    return [
        f"{each.source} {each.target if isinstance(each, Copy) else each.error.message}"
        for each in copies
    ]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("f oci://b", ["f oci://b/f"]),
        ("f oci://b/x", ["f oci://b/x"]),
        ("f oci://b/x/", ["f oci://b/x/f"]),
        ("f g oci://b@n/x/", ["f oci://b@n/x/f", "g oci://b@n/x/g"]),
        ("- oci://b/x", ["- oci://b/x"]),
        ("oci://b/x -", ["oci://b/x -"]),
        ("oci://b/x/y .", ["oci://b/x/y ./y"]),
        ("oci://b/x/y new", ["oci://b/x/y new"]),
        ("oci://b/x/y new/", ["oci://b/x/y new/y"]),
        ("oci://b/x oci://c/", ["oci://b/x oci://c/x"]),
        ("f no oci://b/x/", ["f oci://b/x/f", "no no: there is no such file"]),
        ("d f oci://b/x/", ["d d is a directory", "f oci://b/x/f"]),
        ("oci://b/p/ oci://b/q d", ["oci://b/p/ oci://b/p/ is a directory", "oci://b/q d/q"]),
        ("-r d oci://b", ["d oci://b/d"]),
        ("-r d/ oci://b", ["d/ oci://b/"]),
        ("-r d oci://b/x", ["d oci://b/x"]),
        ("-r oci://b/2026/ restored", ["oci://b/2026/ restored"]),
        ("-r oci://b/2026 d", ["oci://b/2026 d/2026"]),
        ("-r oci://b/2026/ oci://c/old/", ["oci://b/2026/ oci://c/old/"]),
    ],
)
def test_where_things_go(words: str, expected: list[str]) -> None:
    assert planned(words) == expected


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("f", "there is no target"),
        ("f g", "neither is an address"),
        ("f g oci://b/x", "need a directory"),
        ("d oci://b", "is a directory"),
        ("oci://b/x/ here", "is a directory"),
        ("nothing oci://b", "there is no such file"),
        ("- oci://b/", "has no name"),
        ("-r - oci://b/x", "stream"),
        ("f oci://", "oci://BUCKET"),
    ],
)
def test_what_cannot_be_copied_is_said(words: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        planned(words)


def test_a_copy_is_a_value() -> None:
    assert Copy("a", "b") == Copy("a", "b", recursive=False)


@pytest.fixture
def twice(here: Path) -> None:
    for name in ("mon/a.log", "tue/a.log", "mon/sub/x"):
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).touch()


@pytest.mark.usefixtures("twice")
@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("mon/a.log tue/a.log oci://b/x/", "mon/a.log has the same name"),
        ("oci://b/1/z oci://c/1/z .", "oci://b/1/z has the same name"),
        ("oci://b/1/z oci://b/2/z oci://c", "has the same name"),
        ("-r mon oci://b/mon oci://c/", "has the same name"),
        ("f/ oci://b/x/", "Not a directory"),
        ("oci://b/x/.. d", "has no file name"),
        ("oci://b/. d/", "has no file name"),
        ("-r oci://b/x/.. d", "has no file name"),
        (f"{'n' * 300} oci://b/", "File name too long"),
    ],
)
def test_what_would_hit_another_place_is_refused(words: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        planned(words)


@pytest.mark.usefixtures("twice")
@pytest.mark.parametrize("paths", [("", "oci://b/"), ("oci://b/x", ""), ("f", "", "oci://b/")])
@pytest.mark.parametrize("recursive", [False, True])
def test_an_empty_text_is_no_path(paths: tuple[str, ...], recursive: bool) -> None:
    with pytest.raises(UsageError, match="empty text"):
        list(plan(paths, recursive=recursive))


@pytest.mark.usefixtures("twice")
@pytest.mark.parametrize("source", [".", "./", "mon/..", "mon/sub/../.", "mon/."])
def test_dots_stand_for_what_is_in_a_directory(source: str) -> None:
    assert planned(f"-r {source} oci://b/x/") == [f"{source} oci://b/x/"]
