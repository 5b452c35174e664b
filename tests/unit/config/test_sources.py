"""The file of defaults: which key answers for which option."""

from pathlib import Path

import pytest

from ocihaul.config.sources import RcFile, expand_home, expand_variables, load_rc_file

PUT = ("os", "object", "put")


@pytest.fixture
def rc(tmp_path: Path) -> RcFile:
    path = tmp_path / "rc"
    path.write_text(
        "[DEFAULT]\n"
        "namespace = general\n"
        "[p]\n"
        "os.object.put.part-size = 64\n"
        "os.part-size = 32\n"
        "bn = bucket-by-short-name\n"
        "os.object.ns = by-alias\n"
        "name = $STAMP.tar\n"
        "[OCI_CLI_PARAM_ALIASES]\n"
        "--pieces = --part-size\n"
        "[OCI_CLI_CANNED_QUERIES]\n"
        "tag = etag\n"
        "[OCI_CLI_SETTINGS]\n"
        "default_profile = p\n"
    )
    return load_rc_file(path, environ={"STAMP": "monday"})


@pytest.mark.parametrize(
    ("command", "names", "value"),
    [
        (PUT, ("part-size",), "64"),
        (("os", "object", "get"), ("part-size",), "32"),
        (("iam",), ("part-size",), None),
        (PUT, ("bucket-name", "bn"), "bucket-by-short-name"),
        (PUT, ("namespace", "namespace-name", "ns"), "by-alias"),
        ((), ("namespace",), "general"),
        (PUT, ("name",), "monday.tar"),
    ],
)
def test_the_most_specific_key_wins(
    rc: RcFile, command: tuple[str, ...], names: tuple[str, ...], value: str | None
) -> None:
    assert rc.default("p", command, *names) == value


def test_an_alias_of_the_option_is_looked_up_too(tmp_path: Path) -> None:
    path = tmp_path / "rc"
    path.write_text("[p]\npieces = 16\n[OCI_CLI_PARAM_ALIASES]\n--pieces = --part-size\n")
    assert load_rc_file(path, environ={}).default("p", PUT, "part-size") == "16"


def test_a_profile_without_a_section_has_no_defaults_at_all(rc: RcFile) -> None:
    assert rc.default("q", PUT, "namespace") is None
    assert rc.default("DEFAULT", PUT, "namespace") == "general"


def test_queries_and_settings_are_their_own(rc: RcFile) -> None:
    assert rc.queries == {"tag": "etag"}
    assert rc.settings == {"default_profile": "p"}


def test_only_a_leading_tilde_is_home(tmp_path: Path) -> None:
    assert expand_home("~/a", tmp_path) == tmp_path / "a"
    assert expand_home("~", tmp_path) == tmp_path
    assert expand_home("/a/~b", tmp_path) == Path("/a/~b")
    assert expand_home("~nobody-at-all/x", tmp_path) == Path("~nobody-at-all/x")


def test_unset_variables_stay_as_they_are() -> None:
    assert expand_variables("${A}-$B-$$", {"A": "1"}) == "1-$B-$$"
