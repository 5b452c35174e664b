"""What people write: option values, `--from-json`, configuration, rates, sizes, queries."""

import contextlib
import io
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path, PurePath
from typing import Any

import click
from hypothesis import strategies as st

from ocihaul import endpoints
from ocihaul.cli.app import app
from ocihaul.cli.objects import get as object_get
from ocihaul.cli.objects import put as object_put
from ocihaul.cli.objects import put_options
from ocihaul.cli.objects.get import get
from ocihaul.cli.objects.put import put
from ocihaul.cli.options import (
    Defaults,
    Document,
    Moment,
    age,
    camel,
    customer_key,
    json_object,
    metadata,
    namespace_or_none,
)
from ocihaul.cli.output import make_view
from ocihaul.config import Flags, RcFile, resolve
from ocihaul.config.ini import parse_ini, with_section
from ocihaul.config.resolve import callback_port
from ocihaul.config.settings import Found, duration, parse_bandwidth, size
from ocihaul.config.sources import load_rc_file
from ocihaul.errors import ConfigError, UsageError
from ocihaul.quantities import duration_text, size_text
from tests.fuzz.of_storage import ENTRY
from tests.fuzz.strategies import damaged_texts, json_texts, sentences, texts
from tests.fuzz.target import Target

HOME = Path("/nonexistent")


def _quantities(text: str) -> None:
    found = Found(text, "--x")
    for parse in (duration, size, parse_bandwidth):
        try:
            value: Any = parse(found)
        except UsageError:
            continue
        if parse is duration:
            assert 0 <= value <= 36500 * 86400
            duration_text(value)
            datetime.fromtimestamp(1.8e9 + value, UTC).isoformat()
        elif parse is size:
            assert 0 <= value <= 2**60
            size_text(int(value))
        else:
            for hour in (0, 12, 23):
                rate = value.at(datetime(2026, 11, 27, hour, 30, tzinfo=UTC))
                assert rate is None or 1 <= rate <= 2**60


def _age(text: str) -> None:
    assert 0 <= age(text) <= 36500 * 86400


quantities = sentences(
    *("90", "90s", "15m", "12h", "1d", "1.5G", "50M", "64k", "10T", "off", "0", "7"),
    *("08:00,50M 18:00,200M 23:00,off", "8:0,1", "24:00,5M", "200M 100M"),
)

# Every option of every command, from a document and from the rc file.


def _commands(group: click.Command, path: tuple[str, ...] = ()) -> Iterator[click.Command]:
    if isinstance(group, click.Group):
        context = click.Context(group)
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            if command is not None:
                yield from _commands(command, (*path, name))
    else:
        yield group


@lru_cache(maxsize=1)
def _options() -> tuple[click.Option, ...]:
    every = (each for command in _commands(app) for each in command.params)
    return tuple(each for each in every if isinstance(each, click.Option))


def _converted(given: tuple[int, str]) -> None:
    which, text = given
    options = _options()
    option = options[which % len(options)]
    defaults = Defaults(RcFile(path=HOME), "DEFAULT", ())
    kind = click.BOOL if option.is_flag else option.type
    value = defaults.converted(kind, text, option.name or "")
    assert value is None or isinstance(value, str | int | float | tuple | list | PurePath)


PUT: dict[str, Any] = {
    "bucketName": "backups",
    "name": "a/b",
    "file": "-",
    "partSize": 16,
    "metadata": {"a": "b"},
    "parallelUploadCount": 5,
    "force": True,
    "expectedSize": "5M",
    "expectedSha256": "0" * 64,
    "storageTier": "Archive",
    "contentType": "text/plain",
    "memoryLimit": 10**6,
}


def _get(options: Mapping[str, Any]) -> object:
    stdout = io.TextIOWrapper(io.BytesIO())
    return object_get.build_request(options, home=HOME, stdout=stdout)


#: What the options of a command are made into.
_BUILDERS: dict[click.Command, Callable[[Mapping[str, Any]], object]] = {
    put: lambda options: put_options.build_request(options, home=HOME),
    get: _get,
    object_put.resume_put: lambda options: object_put.resume_request(options, home=HOME),
}


def _from_json(text: str) -> None:
    given = json_object(text, what="--from-json", home=HOME)
    for command, build in _BUILDERS.items():
        parameters = [each for each in command.params if isinstance(each, click.Option)]
        known = {camel(name) for each in parameters for name in each.opts}
        own = Document({key: value for key, value in given.items() if key in known})
        defaults = Defaults(RcFile(), "DEFAULT", ("os", "object", "put"), own)
        options = {each.name or "": defaults.value(each)[0] for each in parameters}
        for value in options.values():
            assert not isinstance(value, str) or "\0" not in value
        with contextlib.suppress(UsageError):
            build(options)
    Document.read(text, [each for each in put.params if isinstance(each, click.Option)], HOME)


# Files


CONFIG = """\
# a comment
[DEFAULT]
user=ocid1.user.oc1..aaa
fingerprint=00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff
tenancy=ocid1.tenancy.oc1..aaa
region=us-ashburn-1
key_file=/dev/null
security_token_file=/dev/null

[other]
region : eu-frankfurt-1
  continued
"""
RC = """\
[DEFAULT]
os.object.put.part-size = 64
connection-timeout = 5
bandwidth = 08:00,50M 18:00,off
session-wait = 30m
proxy = $PROXY
endpoint = http://127.0.0.1:1
[OCI_CLI_SETTINGS]
default_profile = DEFAULT
proxy = http://u:p@h:1
[OCI_CLI_CANNED_QUERIES]
names = data[*].name
[OCI_CLI_PARAM_ALIASES]
--pieces = --part-size
"""


def _section(given: tuple[str, str]) -> None:
    text, value = given
    new = with_section(text, "DEFAULT", {"region": value, "key_file": "k"}, without=("user",))
    read = parse_ini(new.removeprefix("\ufeff"), HOME)["DEFAULT"]
    assert read["key_file"] == "k"
    assert "user" not in read


def _ini(text: str) -> None:
    for values in parse_ini(text, HOME).values():
        assert all(isinstance(each, str) for each in values.values())


_VARIABLES = (
    *("OCIHAUL_SESSION_EXPIRATION_IN_MINUTES", "OCIHAUL_SESSION_WAIT", "OCIHAUL_EXPECTED_RATE"),
    *("OCIHAUL_BANDWIDTH", "OCIHAUL_CALLBACK_PORT", "OCIHAUL_LOGIN", "OCI_CLI_REGION"),
    *("OCI_CLI_ENDPOINT", "OCIHAUL_AUTH_ENDPOINT", "OCI_REGION_METADATA", "OCI_CLI_PROFILE"),
)
_FLAGS = {
    "connection_timeout": 5.0,
    "read_timeout": 5.0,
    "max_retries": 3,
    "proxy": "http://h:1",
    "session_wait": "30m",
    "bandwidth": "5M",
    "session_expiration_in_minutes": 60,
    "expected_rate": "5M",
}


def _settings(given: tuple[str, str, dict[str, str], dict[str, Any]]) -> None:
    config, rc, environ, flags = given
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        (home / "config").write_text(config, encoding="utf-8", errors="surrogateescape")
        (home / "rc").write_text(rc, encoding="utf-8", errors="surrogateescape")
        given_flags = Flags(config_file=str(home / "config"), cli_rc_file=str(home / "rc"), **flags)
        callback_port(None, environ)
        settings = resolve(given_flags, environ, home, command=("os", "object", "put"))
    for seconds in (settings.connection_timeout, settings.read_timeout):
        assert 0 < seconds <= 86400
    wishes = settings.session_options
    assert 0 <= wishes.session_wait <= 36500 * 86400
    assert wishes.minutes is None or 1 <= wishes.minutes <= 365 * 24 * 60
    assert wishes.expected_rate is None or wishes.expected_rate >= 1
    assert settings.max_attempts is None or settings.max_attempts >= 1
    repr(settings)


@st.composite
def _flags(draw: st.DrawFn) -> dict[str, Any]:
    """Flags as click hands them on: of their types, but of any size."""
    odd: dict[str, st.SearchStrategy[Any]] = {
        "connection_timeout": st.floats(),
        "read_timeout": st.floats(),
        "max_retries": st.integers(),
        "session_expiration_in_minutes": st.integers(),
    }
    names = draw(st.lists(st.sampled_from(sorted(_FLAGS)), max_size=3, unique=True))
    return {name: draw(odd.get(name, texts)) for name in names}


_environ = st.dictionaries(
    st.sampled_from(_VARIABLES), texts.map(lambda text: text.replace("\0", "")), max_size=2
)


def _rc(text: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "rc"
        path.write_text(text, encoding="utf-8", errors="surrogateescape")
        rc = load_rc_file(path, environ={"PROXY": "x"})
    defaults = Defaults(rc, "DEFAULT", ("os", "object", "put"))
    for option in put.params:
        if isinstance(option, click.Option):
            defaults.value(option)


def _region(given: tuple[str, bytes]) -> None:
    name, text = given
    found = endpoints.resolve_region(
        name, environ={}, metadata_file=text.decode(errors="surrogateescape")
    )
    endpoints.object_storage_endpoint(found, namespace="ns1")


_REGION = {
    "realmKey": "oc99",
    "realmDomainComponent": "x.test",
    "regionKey": "xyz",
    "regionIdentifier": "us-xyz-1",
}
_REGIONS = sentences("us-ashburn-1", "iad", "us-xyz-1", "xyz", "a.b.test", "us-unknown-7")


def _moment(text: str) -> None:
    made = Moment().convert(text, None, None)
    assert datetime.fromisoformat(made).tzinfo is not None


def _query(text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of jmespath's, about an old spelling
        view = make_view(output="json", query=text, raw=False, queries={"names": "data[*].name"})
        view.render({"data": [ENTRY, ENTRY], "prefixes": ["a/"], "opc-next-page": "2"})


def _metadata(text: str) -> None:
    found = metadata(text, HOME)
    assert all(isinstance(each, str) for pair in found.items() for each in pair)


def _key(text: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "key"
        path.write_bytes(text)
        key = customer_key(str(path), HOME)
        assert key is not None
        assert key.base64_key not in repr(key)


_texts = json_texts(PUT).map(lambda data: data.decode(errors="surrogateescape"))

TARGETS = [
    Target("lengths of time, sizes, rates", quantities, _quantities, ()),
    Target("ages", quantities | sentences("abc9", "v1", "90d", "²"), _age, (UsageError,)),
    Target(
        "values of options",
        st.tuples(st.integers(0, 2000), quantities | texts),
        _converted,
        (UsageError,),
    ),
    Target("options in a document", _texts, _from_json, (UsageError,)),
    Target("configuration files", damaged_texts(CONFIG), _ini, (ConfigError,)),
    Target(
        "sections written anew",
        st.tuples(damaged_texts(CONFIG), texts),
        _section,
        (ConfigError,),
    ),
    Target("files of defaults", damaged_texts(RC), _rc, (ConfigError, UsageError)),
    Target(
        "settings",
        st.tuples(
            damaged_texts(CONFIG) | st.just(CONFIG),
            damaged_texts(RC) | st.just(RC),
            _environ,
            _flags(),
        ),
        _settings,
        (ConfigError, UsageError),
    ),
    Target("regions", st.tuples(_REGIONS, json_texts([_REGION])), _region, (ConfigError,)),
    Target(
        "moments",
        sentences("2030-01-31T12:00:00Z", "2030-01-31", "1800000000"),
        _moment,
        (click.UsageError,),
    ),
    Target(
        "queries",
        sentences(
            "data[*].name",
            "length(data)",
            "sort_by(data, &size)[0]",
            "query://names",
            "data[?size > `5`]",
            '"a-b".c | @',
        ),
        _query,
        (UsageError,),
    ),
    Target(
        "metadata",
        json_texts({"a": "b"}).map(lambda data: data.decode(errors="surrogateescape")),
        _metadata,
        (UsageError,),
    ),
    Target(
        "customer keys",
        json_texts("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
        _key,
        (UsageError,),
    ),
    Target("namespaces", texts, namespace_or_none, (UsageError,)),
]
