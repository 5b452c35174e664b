"""`--notify`: a person or a monitor hears that a transfer has ended, or waits for a login.

A URL is one of apprise's (mail, chat, push, …), or `healthchecks+https://…`, which is pinged at the
beginning and at the end as healthchecks.io and its kind want it. URLs hold secrets: they are
registered before anything is said. What goes wrong here is said and changes no exit status; each
message has a bounded time, and none is sent from a thread that moves bytes.

What may go wrong, and what happens then:

* The package is missing, or a URL has no form that it knows: an error before the transfer begins.
* The other side is slow or gone: half a minute at most, then that is said.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Any
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from ocihaul.cli.error_text import in_flags
from ocihaul.cli.run_result import KEPT_DIFFERENT, LogOrigin, RunResult, result_text
from ocihaul.errors import UsageError
from ocihaul.events import AnyEvent, SessionPaused, SessionResumed
from ocihaul.integrations.extras import NOTIFY, require
from ocihaul.printing import shown
from ocihaul.redaction import hold
from ocihaul.threads import started

#: Seconds that all messages at the end may take together.
LONGEST = 30.0
#: Seconds that a ping waits for its answer.
_PING_SECONDS = 10.0
_HEALTHCHECKS = ("healthchecks+https://", "healthchecks+http://")


def split_urls(text: str) -> list[str]:
    """The URLs of one option, separated by blanks; their secrets are held from here on."""
    urls = text.split()
    for url in urls:
        _hold(url)
    return urls


def _hold(url: str) -> None:
    hold(url, "password")
    rest = url.partition("://")[2]
    hold(rest, "password")
    for word in rest.replace("@", "/").replace("?", "/").replace(":", "/").split("/"):
        if len(word) >= 8 and "." not in word:
            hold(word, "password")


class TransferNotifier:
    """A listener that tells of a pause, and of the result. Thread-safe."""

    def __init__(self, urls: Sequence[str], origin: LogOrigin, say: Callable[[str], None]) -> None:
        """Raises UsageError when a URL cannot be used."""
        self._say = say
        self._origin = origin
        self._pings = [url.partition("+")[2] for url in urls if url.startswith(_HEALTHCHECKS)]
        for url in self._pings:
            if not urlsplit(url).hostname:
                raise UsageError("--notify: a healthchecks+https:// URL without a host")
        others = [url for url in urls if not url.startswith(_HEALTHCHECKS)]
        self._apprise = _apprise(others) if others else None
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()  # guards all below
        self._waits = False

    def __call__(self, event: AnyEvent) -> None:
        """Take one event, from any thread."""
        with self._lock:
            first = isinstance(event, SessionPaused) and not self._waits
            if isinstance(event, (SessionPaused, SessionResumed)):
                self._waits = isinstance(event, SessionPaused)
        if first and isinstance(event, SessionPaused):
            body = in_flags("\n".join([event.reason, *filter(None, [event.cure])]))
            self._in_thread(lambda: self._tell(f"{self._name} waits for a login", body, "warning"))

    @property
    def _name(self) -> str:
        return shown(f"ocihaul {self._origin.command} {self._origin.object}")

    def begin(self) -> None:
        """Say that the work begins, to those that measure it."""
        if self._pings:
            self._in_thread(lambda: self._ping("/start", ""))

    def result(self, result: RunResult) -> None:
        """Say how it ended, and wait until that is said."""
        good = result.exit == 0 and result.state != KEPT_DIFFERENT
        body = shown(result_text(result))
        if result.reason:
            body += "\n" + shown(result.reason)
        kind = "success" if good else "failure"
        title = f"{self._name}: {result.state}"

        def tell() -> None:
            self._ping("" if good else "/fail", body)
            self._tell(title, body, kind)

        # The beginning's ping must not come after the end's.
        for thread in self._threads:
            thread.join(_PING_SECONDS)
        last = self._in_thread(tell)
        if last is not None:
            last.join(LONGEST)
            if last.is_alive():
                self._say(f"--notify: no answer within {LONGEST:.0f} s")

    def _in_thread(self, work: Callable[[], None]) -> threading.Thread | None:
        thread = threading.Thread(target=work, name="notify", daemon=True)
        if not started(thread):
            self._say("--notify: there may be no more threads")
            return None
        self._threads.append(thread)
        return thread

    def _ping(self, path: str, body: str) -> None:
        for url in self._pings:
            request = Request(url.rstrip("/") + path, data=body.encode(), method="POST")  # noqa: S310  http, checked
            try:
                with urlopen(request, timeout=_PING_SECONDS):  # noqa: S310  http, checked
                    pass
            except (URLError, OSError, ValueError) as error:
                self._say(f"--notify: the ping of {urlsplit(url).hostname} failed: {error}")

    def _tell(self, title: str, body: str, kind: str) -> None:
        if self._apprise is None:
            return
        try:
            done = self._apprise.notify(title=title, body=body, notify_type=kind)
        except Exception as error:  # noqa: BLE001  of a hundred services' plugins
            self._say(f"--notify failed: {type(error).__name__}: {error}")
            return
        if not done:
            self._say("--notify: not every message could be sent")


def _apprise(urls: Sequence[str]) -> Any:
    require(NOTIFY, by="--notify")
    import apprise

    apprise.logger.disabled = True  # it would write to stderr, with what it was given
    sender = apprise.Apprise()
    for number, url in enumerate(urls, 1):
        if not sender.add(url):
            raise UsageError(
                f"--notify: URL {number} has no form that apprise knows",
                hint="Such as mailto://…, slack://…, ntfy://… or healthchecks+https://…; they are "
                "separated by blanks.",
            )
    return sender
