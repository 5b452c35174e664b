"""A session archive: a profile with its key and token in one ZIP file, as the official CLI has it.

The format is that of `oci session export` (oci-cli 3.95): a flat ZIP. Its member `config` is an INI
file with the section of the profile; each option that ends in `_file` or `_token` holds the name of
another member. An archive is a secret: with its key and token anyone can act as the user.
"""

import contextlib
import io
import lzma
import stat
import struct
import time
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from ocihaul.config.ini import parse_ini, read_ini, with_inherited
from ocihaul.config.sources import expand_home
from ocihaul.errors import ConfigError, CredentialError, UsageError
from ocihaul.redaction import hold
from ocihaul.session.credential import SessionToken
from ocihaul.session.login.profile_paths import check_profile_name
from ocihaul.session.store import load_key, read_small

CONFIG = "config"
KEY_OPTION = "key_file"
TOKEN_OPTION = "security_token_file"  # noqa: S105  an option's name
#: Options whose value is a file, which comes along.
_FILE_SUFFIXES = ("_file", "_token")
#: What a session needs of the DEFAULT section; the rest of that belongs to other profiles.
_INHERITED = ("tenancy", "region", "fingerprint", KEY_OPTION, TOKEN_OPTION)
#: Limits against archives that are not what they seem: members, and bytes of each.
_MOST_MEMBERS = 20
_LARGEST_MEMBER = 2**20
_LARGEST_ARCHIVE = _MOST_MEMBERS * _LARGEST_MEMBER
#: What the library raises for a ZIP file that is damaged, encrypted or packed in another way.
_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, NotImplementedError, RuntimeError, OSError, ValueError),
)
#: A login replaces key and token one after the other: how often they are read again, and the
#: seconds in between.
_READS = 5
_PAUSE = 0.5


@dataclass(frozen=True, slots=True)
class SessionArchive:
    """The content of an archive. In `options` each file is the name of a member of `files`."""

    profile: str
    options: Mapping[str, str] = field(repr=False)
    files: Mapping[str, bytes] = field(repr=False)

    def file_of(self, option: str) -> bytes:
        """Return the content of the file that `option` names."""
        return self.files[self.options[option]]

    def is_encrypted(self) -> bool:
        """Return whether the key is protected by a passphrase."""
        return b"ENCRYPTED" in self.file_of(KEY_OPTION)

    def public_key(self, passphrase: str | None) -> RSAPublicKey | None:
        """Return the public half of the key; None for an encrypted key without a passphrase.

        `passphrase` is used where there is none in the archive. Raises CredentialError.
        """
        passphrase = self.options.get("pass_phrase") or passphrase
        if self.is_encrypted() and not passphrase:
            return None
        where = f"the key of profile {self.profile}"
        key = load_key(self.file_of(KEY_OPTION), where=where, passphrase=passphrase)
        return key.public_key()

    def check(self, passphrase: str | None) -> SessionToken:
        """Return the token. Raises CredentialError when it is broken or the key is another one's.

        A key that cannot be opened without a passphrase is not compared.
        """
        try:
            token = SessionToken.parse(self.file_of(TOKEN_OPTION).decode("ascii", "replace"))
        except CredentialError as error:
            raise CredentialError(f"profile {self.profile}: {error.message}") from None
        key = self.public_key(passphrase)
        if key is not None and not token.belongs_to(key):
            raise CredentialError(f"the key of profile {self.profile} does not belong to its token")
        return token


def is_file_option(option: str) -> bool:
    """Return whether an option of a profile names a file that belongs to it."""
    return option.endswith(_FILE_SUFFIXES)


def collect_session(
    config_file: Path,
    profile: str,
    *,
    home: Path,
    passphrase: str | None,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[SessionArchive, SessionToken]:
    """Read a profile and its files; return them and the token.

    Raises ConfigError when there is no such session, CredentialError when key or token cannot be
    read or do not belong together.
    """
    check_profile_name(profile)
    sections = read_ini(config_file)
    if profile not in sections:
        raise ConfigError(
            f"{config_file} has no profile {profile!r}",
            hint=f"The profiles in it are: {', '.join(sections) or 'none'}",
        )
    own, all_options = sections[profile], with_inherited(sections, profile)
    if not all_options.get(TOKEN_OPTION) or not all_options.get(KEY_OPTION):
        raise ConfigError(
            f"{config_file}, section [{profile}] is no session: it names no {TOKEN_OPTION} or no "
            f"{KEY_OPTION}",
            hint="Choose a session with `profile`.",
        )
    options = {key: all_options[key] for key in _INHERITED if key in all_options} | own
    archive = _with_files(profile, options, all_options, home)
    for _ in range(_READS - 1):
        with contextlib.suppress(CredentialError):
            return archive, archive.check(passphrase)
        sleep(_PAUSE)
        archive = _with_files(profile, options, all_options, home)
    return archive, archive.check(passphrase)


def _with_files(
    profile: str, options: Mapping[str, str], all_options: Mapping[str, str], home: Path
) -> SessionArchive:
    named = dict(options)
    files: dict[str, bytes] = {}
    for option, value in options.items():
        if not is_file_option(option):
            continue
        path = expand_home(value, home)
        name = path.name
        if name in files or name in {"", CONFIG}:
            name = option  # two files of one name: the config says which is which
        try:
            files[name] = read_small(path)
        except OSError as error:
            raise CredentialError(
                f"profile {profile}: {option} {path} cannot be read: {error.strerror}"
            ) from error
        named[option] = name
    archive = SessionArchive(profile, named, files)
    if "pass_phrase" in all_options and archive.is_encrypted():
        named["pass_phrase"] = all_options["pass_phrase"]
    return archive


def pack(archive: SessionArchive) -> bytes:
    """Return the archive as a ZIP file."""
    lines = [f"[{archive.profile}]"]
    # The official CLI reads with interpolation: a percent sign is written twice.
    lines += [f"{key} = {value.replace('%', '%%')}" for key, value in archive.options.items()]
    members = {CONFIG: "\n".join([*lines, "", ""]).encode(), **archive.files}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in members.items():
            # A machine without a clock begins in 1970, and a ZIP's calendar in 1980.
            info = zipfile.ZipInfo(name, max(time.localtime()[:6], (1980, 1, 1, 0, 0, 0)))
            info.create_system = 3  # Unix: the modes count
            info.external_attr = (stat.S_IFREG | 0o600) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            zipped.writestr(info, content)
    return packed.getvalue()


def read_archive(path: Path) -> SessionArchive:
    """Read an archive from a file. Nothing is unpacked to disk.

    Raises CredentialError when the file cannot be read or is no session archive: also when a
    member has a path, is a link or is too large.
    """
    try:
        with path.open("rb") as file:
            packed = file.read(_LARGEST_ARCHIVE + 1)
    except OSError as error:
        raise CredentialError(
            f"the session archive {path} cannot be read: {error.strerror}",
            hint="Make it with: ocihaul session export (or: oci session export)",
        ) from error
    if len(packed) > _LARGEST_ARCHIVE:
        raise _invalid(path, f"it has more than {_LARGEST_ARCHIVE} bytes")
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as zipped:
            members = _members(zipped, path)
    except _DAMAGE as error:
        raise _invalid(path, "it is no ZIP file, or it is damaged") from error
    return _parse(members, path)


def _members(zipped: zipfile.ZipFile, path: Path) -> dict[str, bytes]:
    members: dict[str, bytes] = {}
    infos = zipped.infolist()
    if len(infos) > _MOST_MEMBERS:
        raise _invalid(path, f"it has more than {_MOST_MEMBERS} members")
    for info in infos:
        mode = stat.S_IFMT(info.external_attr >> 16)
        if not _is_plain_name(info.filename):
            raise _invalid(path, f"a member has a path: {info.filename!r}")
        if mode not in {0, stat.S_IFREG} or info.is_dir():
            raise _invalid(path, f"a member is a link or no file: {info.filename!r}")
        if info.filename in members:
            raise _invalid(path, f"a member is there twice: {info.filename!r}")
        with zipped.open(info) as file:
            # What the directory of the ZIP says of the size may be a lie.
            content = file.read(_LARGEST_MEMBER + 1)
        if len(content) > _LARGEST_MEMBER:
            raise _invalid(path, f"a member has more than {_LARGEST_MEMBER} bytes")
        members[info.filename] = content
    return members


def _is_plain_name(name: str) -> bool:
    """Return whether a name stays in its directory, on any system."""
    if name in {"", ".", ".."} or "\0" in name:
        return False
    return PurePosixPath(name).name == name and PureWindowsPath(name).name == name


def _parse(members: dict[str, bytes], path: Path) -> SessionArchive:
    sections = _sections(members.pop(CONFIG, None), path)
    profile = list(sections)[-1]  # the official CLI takes the last one, too
    try:
        check_profile_name(profile)
    except UsageError as error:
        raise _invalid(path, error.message) from None
    values = {key: value.strip().replace("%%", "%") for key, value in sections[profile].items()}
    options = {key: value for key, value in values.items() if value}
    for option in (KEY_OPTION, TOKEN_OPTION):
        if not options.get(option):
            raise _invalid(path, f"profile {profile} is no session: it has no {option}")
    for option, value in options.items():
        if is_file_option(option) and value not in members:
            raise _invalid(path, f"{option} names a file that is not a member")
    hold(options.get("pass_phrase", ""), "password")
    return SessionArchive(profile, options, members)


def _sections(config: bytes | None, path: Path) -> dict[str, dict[str, str]]:
    if config is None:
        raise _invalid(path, f"it has no member {CONFIG!r}")
    try:
        sections = parse_ini(config.decode("utf-8"), path)
    except UnicodeDecodeError:
        raise _invalid(path, f"its {CONFIG!r} is no text") from None
    except ConfigError as error:
        raise _invalid(path, error.message) from None
    if not sections:
        raise _invalid(path, f"its {CONFIG!r} has no profile")
    return sections


def _invalid(path: Path, why: str) -> CredentialError:
    return CredentialError(f"{path} is no session archive: {why}")
