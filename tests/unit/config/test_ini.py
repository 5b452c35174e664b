"""One section replaced, every other byte as it was."""

import configparser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocihaul.config.ini import with_section
from ocihaul.errors import ConfigError

NEW = {"key_file": "/k", "security_token_file": "/t"}

CASES = {
    "an empty file": ("", "[night]\nkey_file=/k\nsecurity_token_file=/t\n"),
    "another section": (
        "# mine\n[DEFAULT]\nuser = u",
        "# mine\n[DEFAULT]\nuser = u\n\n[night]\nkey_file=/k\nsecurity_token_file=/t\n",
    ),
    "a blank line at the end is enough": (
        "[a]\nb=1\n\n",
        "[a]\nb=1\n\n[night]\nkey_file=/k\nsecurity_token_file=/t\n",
    ),
    "in its place, with its comments": (
        "[night]\n# it\nkey_file = /old\n; end\n\n# next\n[z]\nkey_file=/z\n",
        "[night]\n# it\nkey_file = /k\nsecurity_token_file=/t\n; end\n\n# next\n[z]\nkey_file=/z\n",
    ),
    "nothing to change": (
        "[night]\nsecurity_token_file : /t\nKEY_FILE=/k\n",
        "[night]\nsecurity_token_file : /t\nKEY_FILE=/k\n",
    ),
    "what is no longer true is taken out": (
        "[night]\nuser=u\n  and=more\nkey_file=/k\n[z]\nuser=z\n",
        "[night]\nkey_file=/k\nsecurity_token_file=/t\n[z]\nuser=z\n",
    ),
    "a value of several lines": (
        "[night]\nkey_file=/a\n\n  [b]\n  # c\n  d\nregion=r\n",
        "[night]\nkey_file=/k\n\n  # c\nregion=r\nsecurity_token_file=/t\n",
    ),
    "Windows line ends": (
        "\ufeff[night]\r\nregion=r\r\n",
        "\ufeff[night]\r\nregion=r\r\nkey_file=/k\r\nsecurity_token_file=/t\r\n",
    ),
    "no end of line at the end": (
        "[night]\nregion=r",
        "[night]\nregion=r\nkey_file=/k\nsecurity_token_file=/t\n",
    ),
    "a header and nothing else": (
        "[a]\n[night]",
        "[a]\n[night]\nkey_file=/k\nsecurity_token_file=/t\n",
    ),
}


@pytest.mark.parametrize(("before", "after"), CASES.values(), ids=CASES.keys())
def test_replacing(before: str, after: str) -> None:
    assert with_section(before, "night", NEW, without={"user", "and"}) == after
    assert with_section(after, "night", NEW, without={"user", "and"}) == after


@pytest.mark.parametrize("value", ["", " x", "x ", "a\nb", "a\r[z]"])
def test_a_value_that_the_file_cannot_hold_is_refused_without_being_shown(value: str) -> None:
    with pytest.raises(ConfigError, match=r"section \[night\].*pass_phrase") as caught:
        with_section("", "night", {"pass_phrase": value})
    assert not value.strip() or repr(value) not in str(caught.value)


LINES = st.lists(
    st.sampled_from(
        ["[a]", "[night]", " [b]", "# c", "; d", "", "  ", "x=1", "y : 2", "  z=3", "key_file=/o"]
    ),
    max_size=12,
)


def parsed(text: str) -> dict[str, dict[str, str]]:
    parser = configparser.ConfigParser(interpolation=None, default_section="\0")
    parser.read_string(text)
    return {
        name: {key: value.strip() for key, value in parser.items(name)}
        for name in parser.sections()
    }


@given(LINES)
def test_configparser_sees_the_change_and_nothing_else_changed(lines: list[str]) -> None:
    before = "".join(f"{line}\n" for line in lines)
    try:
        old = parsed(before)
    except configparser.Error:
        return  # no tool can read it; it is refused before it comes to this
    try:
        new = parsed(with_section(before, "night", NEW, without={"x"}))
    except ConfigError:
        assert " [b]" in lines  # it would become, or lose, a line that is not its own
        return
    night = {key: value for key, value in old.get("night", {}).items() if key != "x"}
    assert new == old | {"night": night | NEW}
