"""One section of an INI text replaced, every other byte as it was; pure.

Lines are told apart by the rules of Python's configparser, which the OCI tools read with: a line
that is indented deeper than the option before it continues that option's value.
"""

import configparser
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from ocihaul.errors import ConfigError

_HEADER = re.compile(r"\[(?P<name>.+)\]")
_OPTION = re.compile(r"(?P<start>\s*(?P<key>[^=:]*?)\s*[=:][ \t]*)(?P<value>.*)")


@dataclass(frozen=True, slots=True)
class _Line:
    """One line, the section it stands in, and the option (if any) that it belongs to.

    `leads` marks a section's header and the first line of an option.
    """

    text: str
    section: str | None
    key: str | None = None
    leads: bool = False


def with_section(
    text: str, name: str, values: Mapping[str, str], *, without: Collection[str] = ()
) -> str:
    """`text` with `values` in section `name`, and without the options `without` there.

    Options that are there keep their place and their form, new ones follow the last one, a new
    section is put at the end. Raises ConfigError for a value that such a file cannot hold, and
    for a text that cannot be read or that has no room for the change.
    """
    for key, value in values.items():
        check_value(name, key, value)
    eol = "\r\n" if "\r\n" in text else "\n"
    missing = {key: f"{key}={value}{eol}" for key, value in values.items()}
    lines: list[str] = []
    slot: int | None = None
    for line in _read(text):
        inside = line.section == name
        if inside and line.key in values:
            if line.leads and line.key in missing:
                lines.append(_changed(line.text, values[line.key], eol))
                del missing[line.key]
        elif not (inside and line.key in without):
            lines.append(line.text)
        if inside and (line.leads or line.key is not None):
            slot = len(lines)
    if slot is None:
        if lines:
            lines[-1] = _whole(lines[-1], eol)
            lines.append("" if lines[-1].strip() == "" else eol)
        lines.append(f"[{name}]{eol}")
        slot = len(lines)
    lines[slot - 1] = _whole(lines[slot - 1], eol)
    lines[slot:slot] = missing.values()
    result = "".join(lines)
    if not _is_as_meant(text, result, name, values, without):
        # A header with spaces before it, say, which our option would swallow.
        raise ConfigError(
            f"section [{name}] cannot be changed without changing its neighbours",
            hint="Take away the spaces at the beginning of the lines around it.",
        )
    return result


def _is_as_meant(
    before: str, after: str, name: str, values: Mapping[str, str], without: Collection[str]
) -> bool:
    try:
        old, new = _parsed(before), _parsed(after)
    except configparser.Error:
        return False
    kept = {key: value for key, value in old.get(name, {}).items() if key not in without}
    return new == old | {name: kept | dict(values)}


def _parsed(text: str) -> dict[str, dict[str, str]]:
    parser = configparser.ConfigParser(interpolation=None, default_section="\0")
    parser.read_string(text.removeprefix("\ufeff"))
    return {
        name: {key: value.strip() for key, value in parser.items(name)}
        for name in parser.sections()
    }


def _read(text: str) -> Iterator[_Line]:
    section = key = None
    indent = 0
    for line in re.findall(r"[^\n]*\n|[^\n]+", text):
        bare = line.removeprefix("\ufeff")
        stripped = bare.strip()
        if not stripped or stripped[0] in "#;":
            yield _Line(line, section)
            continue
        depth = len(bare) - len(bare.lstrip())
        if key is not None and depth > indent:
            yield _Line(line, section, key)
        elif header := _HEADER.match(stripped):
            section, key = header["name"], None
            yield _Line(line, section, leads=True)
        else:
            option = _OPTION.match(bare)
            key = (option["key"] if option else stripped).lower()
            indent = depth
            yield _Line(line, section, key, leads=True)


def _changed(line: str, value: str, eol: str) -> str:
    option = _OPTION.match(line)
    if option is None or option["value"].strip() == value:
        return line
    return option["start"] + value + eol


def _whole(line: str, eol: str) -> str:
    return line if line.endswith("\n") else line + eol


def check_value(section: str, key: str, value: str) -> None:
    """Raises ConfigError for a value that a configuration file cannot hold."""
    if value != value.strip() or not value or "\n" in value or "\r" in value:
        raise ConfigError(
            f"section [{section}]: a configuration file cannot hold this value of {key}: "
            "it is empty, has several lines, or begins or ends with a space",
            hint="Choose another one.",
        )


def without_section(text: str, name: str) -> str:
    """`text` without section `name`, every other byte as it was.

    Raises ConfigError for a text that cannot be read.
    """
    result = "".join(line.text for line in _read(text) if line.section != name)
    try:
        before, after = _parsed(text), _parsed(result)
    except configparser.Error:
        before, after = {}, {name: {}}
    if after != {key: value for key, value in before.items() if key != name}:
        raise ConfigError(f"section [{name}] cannot be removed without changing its neighbours")
    return result
