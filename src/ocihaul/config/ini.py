"""An INI file as the OCI tools write it, as plain dictionaries: section → key → value.

Nothing is inherited or interpolated here. Errors give the file and the line, never its content:
a configuration file may hold a passphrase.
"""

import configparser
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
