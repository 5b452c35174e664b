"""An INI file as the OCI tools write it, as plain dictionaries: section → key → value.

Nothing is inherited or interpolated here. Errors give the file and the line, never its content:
a configuration file may hold a passphrase.
"""

import configparser
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ocihaul.documents import DocumentError, read_text
from ocihaul.errors import ConfigError

#: A configuration file has a few kilobytes.
_LARGEST = 16 * 2**20


def read_ini(path: Path) -> dict[str, dict[str, str]]:
    """All sections of the file at `path`, DEFAULT among them; keys are lower case.

    Raises ConfigError when the file cannot be read or is not an INI file.
    """
    try:
        text = read_text(path, most=_LARGEST)
    except DocumentError as error:
        raise ConfigError(f"{path} is {error}") from None
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}",
            hint="In a container, check the mount and the user it runs as.",
        ) from None
    return parse_ini(text, path)


def parse_ini(text: str, path: Path) -> dict[str, dict[str, str]]:
    """The same for the text of the file at `path`."""
    if "\0" in text:
        raise ConfigError(f"{path} is not a text file: it has a NUL in it")
    # No section of a real file is called "\0", so that DEFAULT is a section like the others.
    parser = configparser.ConfigParser(interpolation=None, default_section="\0")
    try:
        parser.read_string(text, source=str(path))
    except (configparser.DuplicateOptionError, configparser.DuplicateSectionError) as error:
        what = getattr(error, "option", None) or f"[{error.section}]"
        raise ConfigError(
            f"{path}, line {error.lineno}, section [{error.section}]: {what} is there twice",
            hint="Remove one of the two.",
        ) from None
    except configparser.MissingSectionHeaderError as error:
        raise ConfigError(
            f"{path}, line {error.lineno}: there is a setting before the first section",
            hint="Begin the file with a line such as [DEFAULT].",
        ) from None
    except configparser.ParsingError as error:
        lines = ", ".join(str(number) for number, _ in error.errors)
        raise ConfigError(
            f"{path}: no setting in line {lines}", hint="A setting has the form: key = value"
        ) from None
    return {name: dict(parser.items(name)) for name in parser.sections()}


def with_inherited(sections: dict[str, dict[str, str]], name: str) -> dict[str, str]:
    """The settings of section `name`, with what it inherits from DEFAULT."""
    return {**sections.get("DEFAULT", {}), **sections.get(name, {})}


def is_file(path: Path) -> bool:
    """Whether a file is there, as far as this user can see."""
    try:
        return path.is_file()
    except OSError:  # its directory is closed to us
        return False


def path_exists(path: Path) -> bool:
    """Whether something (a pipe will do) is there, or may be behind a closed directory."""
    try:
        return path.exists()
    except OSError:  # let reading it say why it cannot be read
        return True


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
