"""Heads of HTTP messages, and the URLs that lead to services and proxies."""

import contextlib
from collections.abc import Iterator

from hypothesis import strategies as st

from ocihaul.config.profile import check_endpoint
from ocihaul.config.settings import Found
from ocihaul.endpoints import Origin
from ocihaul.errors import ConfigError
from ocihaul.transport.message import Reply, Request, WireError, request_head, usual_head
from ocihaul.transport.proxies import Proxy, proxy_for
from tests.fuzz.strategies import damaged, sentences, texts
from tests.fuzz.target import Target

ANSWERS = (
    b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nopc-request-id: r\r\n\r\nhello",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\netag: e\r\nconnection: close\r\n\r\n",
    b"HTTP/1.0 401 No\r\nDate: Tue, 24 Nov 2026 03:18:51 GMT\r\n\r\n{}",
    b"HTTP/1.1 206 P\r\nTransfer-Encoding: chunked\r\nA: b\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\ncontent-length: 3\r\ncontent-length: 3\r\n\r\nabc",
)


def _answered(given: tuple[str, bytes, int]) -> None:
    method, data, at = given
    found = usual_head(method, data)
    if found is not None:
        assert all(name == name.lower() for name in found[0].headers)
    pieces = iter([data[:at], data[at:]])

    def receive() -> bytes:
        return next(pieces, b"")

    reply = Reply(method)
    with contextlib.suppress(WireError):
        while reply.head is None:
            reply.take(receive())
        body = b"".join(reply.body(receive))
        assert len(body) <= len(data)


def _asked(given: tuple[str, str, list[tuple[str, str]]]) -> None:
    method, target, fields = given
    head = request_head(Request(method, target, dict(fields)))
    assert head.count(b"\r\n") == len(dict(fields)) + 2
    assert head.endswith(b"\r\n\r\n")
    head.decode("ascii")


URLS = (
    "https://objectstorage.us-ashburn-1.oraclecloud.com",
    "http://127.0.0.1:8080",
    "https://[::1]:443",
    "http://user:p%40ss@proxy.test:3128/",
    "proxy.test:80",
    "https://bücher.example:8443",
)
urls = sentences(*URLS)


def _host(host: str, header: str) -> None:
    assert host.isascii()
    assert host.isprintable()
    assert " " not in host
    request_head(Request("GET", "/", {"host": header}))


def _origin(url: str) -> None:
    endpoint = check_endpoint(Found(url, "--endpoint"), plain_http=True)
    if endpoint is not None:
        Origin.parse(endpoint)  # what is a base URL to one is one to the other
    origin = Origin.parse(url)
    assert 0 < origin.port < 65536
    _host(origin.host, origin.host_header)
    assert Origin.parse(str(origin)) == origin


def _either(url: str) -> None:
    for parse in (_origin, _proxy):
        with contextlib.suppress(ConfigError):
            parse(url)


def _proxy(url: str) -> None:
    proxy = Proxy.parse(url)
    assert 0 < proxy.port < 65536
    _host(proxy.host, proxy.host)
    request_head(Request("CONNECT", "h:1", {"proxy-authorization": proxy.authorization or "-"}))


def _environment(given: tuple[str, str, str]) -> None:
    http, https, no = given
    environ = {"http_proxy": http, "HTTPS_PROXY": https, "no_proxy": no}
    for url in ("http://a.test", "https://b.test:8443", "https://[::1]"):
        proxy_for(Origin.parse(url), explicit=None, environ=environ)


_methods = st.sampled_from(("GET", "HEAD", "PUT"))
_answers = st.sampled_from(ANSWERS).flatmap(lambda valid: damaged(valid) | st.just(valid))


def targets() -> Iterator[Target]:
    """Those of this module."""
    inputs = st.tuples(_methods, _answers, st.integers(0, 80))
    yield Target("heads of answers", inputs, _answered, ())
    fields = st.lists(st.tuples(st.sampled_from(("a", "if-match")) | texts, texts), max_size=3)
    heads = st.tuples(_methods | texts, st.just("/n/x") | texts, fields)
    yield Target("heads of requests", heads, _asked, (ValueError,))
    yield Target("endpoints and proxies", urls, _either, ())
    yield Target(
        "proxies of the environment",
        st.tuples(urls, urls, sentences("a.test,*.b", "*")),
        _environment,
        (ConfigError,),
    )


TARGETS = list(targets())
