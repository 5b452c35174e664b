"""One transfer from its first line to its last: the log's channels, the result, what follows it.

A command may make several, one after the other (`run_several`): each has lines and a result of its
own; metrics, hooks, notifications and the report's page follow once, of all of them.

Events go to every channel: stderr (a bar, lines or JSON) and the log file. When the work has ended,
well or not, the result is the last line of each; then come the metrics and the hooks. An error's
text follows on stderr (see `app.run`), where scripts expect it to be the last thing.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, TypeVar

from ocihaul.cli.directories.progress import DirectoryReporter
from ocihaul.cli.error_text import error_fields, failure_lines, summary
from ocihaul.cli.event_text import LineStyle
from ocihaul.cli.invocation import Invocation, is_terminal
from ocihaul.cli.process import (
    UNREAD,
    code_of_one,
    environment_and_home,
    exit_code,
    mimics_official_cli,
    official_code,
    worst,
)
from ocihaul.cli.progress import (
    SHORT,
    PlainOutput,
    Reporter,
    Screen,
    StatusBar,
    can_draw,
    heartbeat,
)
from ocihaul.cli.run_result import (
    FileCounts,
    LogOrigin,
    RunCounter,
    RunResult,
    combined,
    result_text,
    state_of,
)
from ocihaul.cli.signals import Stopper, stopping
from ocihaul.cli.transfer_log import LogOptions, log_options
from ocihaul.errors import OcihaulError, TransferCancelled, UsageError
from ocihaul.events import AnyEvent, TokenChanged
from ocihaul.printing import write_lines

if TYPE_CHECKING:
    # Few transfers have them.
    from ocihaul.cli.notifications import TransferNotifier
    from ocihaul.cli.report import TransferReport
    from ocihaul.cli.transfer_log import JsonLog, LogFile


class LogChannel(Protocol):
    """Where a transfer's log goes."""

    def __call__(self, event: AnyEvent) -> None:
        """Take one event, from any thread."""

    def notice(self, text: str, *, routine: bool = False) -> None:
        """Say something of the command's own; what is `routine` is left out where it is quiet."""

    def beat(self) -> None:
        """Say how far it is."""

    def failed(self, error: BaseException) -> None:
        """Say which error ends it."""

    def result(self, result: RunResult) -> None:
        """Say how it ended."""


class TextChannel:
    """Lines, on stderr or in a file."""

    def __init__(
        self,
        reporter: Reporter | DirectoryReporter,
        style: LineStyle,
        *,
        bar: StatusBar | None = None,
        is_file: bool = False,
    ) -> None:
        self._reporter = reporter
        self._style = style
        self.bar = bar
        self._is_file = is_file
        self._usage_error = False

    def __call__(self, event: AnyEvent) -> None:
        """Take one event, from any thread."""
        self._reporter(event)

    def notice(self, text: str, *, routine: bool = False) -> None:
        """Say something of the command's own, with `--quiet` unless it is `routine`."""
        if not (routine and self._style.quiet):
            self._reporter.notice(text)

    def beat(self) -> None:
        """Say how far it is, where no bar does."""
        if self.bar is None:
            self._reporter.beat()

    def failed(self, error: BaseException) -> None:
        """Say it in the file: on stderr it follows the result."""
        self._usage_error = isinstance(error, UsageError)
        if self._is_file:
            reason, hints = summary(error)
            for line in (f"Error: {reason}", *hints):
                self._reporter.notice(line)

    def result(self, result: RunResult) -> None:
        """Say how it ended, unless that is not wanted here; the bar ends before."""
        if self.bar is not None:
            self.bar.close()
        good = result.exit == 0
        if self._is_file or (
            self._style.object and not self._usage_error and not (self._style.quiet and good)
        ):
            self._reporter.finish(result_text(result), routine=good)


class JsonChannel:
    """JSON, on stderr or in a file."""

    def __init__(self, log: "JsonLog") -> None:
        self._log = log
        self.beat, self.result = log.beat, log.result

    def notice(self, text: str, *, routine: bool = False) -> None:
        """Write something of the command's own."""
        self._log.notice(text, level="info" if routine else "warning")

    def __call__(self, event: AnyEvent) -> None:
        """Take one event, from any thread."""
        self._log(event)

    def failed(self, error: BaseException) -> None:
        """Say which error ends it."""
        self._log.failed(error_fields(error))


class TransferRun:
    """A transfer that is under way: its listener, and what is known of its result."""

    def __init__(
        self,
        log: "_Log",
        stopper: Stopper,
        origin: LogOrigin,
        *,
        whole: "TransferRun | None" = None,
    ) -> None:
        """`whole` is the run of the command where this is one of several transfers of it."""
        self._channels = log.channels
        self.file = log.file
        self._origin = origin
        self._whole = whole
        self._results: list[RunResult] = []
        #: What one of its transfers has said: with which token it begins, and its error.
        self.token_said = False
        self.said: BaseException | None = None
        self._began = time.monotonic()
        self._announced: int | None = None
        self.notifier: TransferNotifier | None = None
        self.report: TransferReport | None = None
        self.stopper = stopper
        self.counter = RunCounter()
        self.size: int | None = None
        self.compared: str | None = None
        self.files: FileCounts | None = None
        self.receipt: str | None = None
        #: The state, where it is another than the exit status has.
        self.state: str | None = None

    @contextmanager
    def asking(self) -> Iterator[None]:
        """While a person is asked: a signal raises KeyboardInterrupt, and no bar is drawn."""
        with ExitStack() as stack:
            stack.enter_context(self.stopper.asking())
            if self.bar is not None:
                stack.enter_context(self.bar.hidden())
            yield

    @property
    def bar(self) -> StatusBar | None:
        """What is drawn at the terminal below the log."""
        first = self._channels[0]
        return first.bar if isinstance(first, TextChannel) else None

    @property
    def stop(self) -> threading.Event:
        """What a signal sets."""
        return self.stopper.stop

    def __call__(self, event: AnyEvent) -> None:
        """Take one event, from any thread."""
        self.counter(event)
        if self._whole is not None and isinstance(event, TokenChanged):
            self._whole.token_said = True
        if self.notifier is not None:
            self.notifier(event)
        for channel in self._channels:
            channel(event)

    def notice(self, text: str, *, routine: bool = False) -> None:
        """Say something of the command's own; what is `routine` is left out where it is quiet."""
        for channel in self._channels:
            channel.notice(text, routine=routine)

    def failed(self, error: BaseException) -> None:
        """Say which error ends it, once."""
        if error is self.said:
            return
        if self._whole is not None:
            self._whole.said = error
        for channel in self._channels:
            channel.failed(error)

    def add(self, result: RunResult, *, stopped: bool) -> None:
        """Take the result of one of its transfers; `stopped`: a signal asked that one to stop."""
        self._results.append(result)
        if stopped:
            self.stop.set()

    def say_failed(self, what: str, error: BaseException) -> None:
        """Say on stderr why one transfer failed; where stderr is JSON its log has said it."""
        channel = self._channels[0]
        if isinstance(channel, TextChannel):
            for line in failure_lines(what, error):
                channel.notice(line)

    def announce(self, code: int) -> None:
        """Say the result on stderr before the answer is printed on stdout.

        Where both are one stream, a program that reads the answer finds nothing behind it.
        """
        self._announced = code
        self._channels[0].result(self.outcome(code, None))

    def outcome(self, code: int, error: BaseException | None) -> RunResult:
        """How it ended, as far as it is known now."""
        counter = self.counter
        seconds = time.monotonic() - self._began
        reason = summary(error)[0] if error is not None else None
        if self._origin.sources is not None:
            return combined(self._origin, self._results, code, seconds=seconds, error=reason)
        return RunResult(
            command=self._origin.command,
            object=self._origin.object,
            state=self.state if error is None and self.state else state_of(code, files=self.files),
            exit=code,
            bytes=self.size if self.size is not None else counter.file_bytes,
            moved=max(0, counter.moved, counter.file_bytes),
            seconds=seconds,
            renewals=counter.renewals,
            rejections=counter.rejections,
            retries=counter.retries,
            resent_bytes=counter.resent_bytes,
            compared=self.compared,
            files=self.files,
            receipt=self.receipt,
            reason=reason,
        )

    def result(self, result: RunResult) -> None:
        """Say how it ended, where that was not announced."""
        announced = result.exit == self._announced
        for channel in self._channels[1:] if announced else self._channels:
            channel.result(result)


def run_transfer(
    invocation: Invocation,
    command: str,
    target: str,
    work: Callable[[TransferRun], int],
    *,
    directory: bool = False,
    sources: int | None = None,
) -> int:
    """Do `work` and say how it ended; returns its exit status, and raises what it raises.

    `target` is the object (`bucket/name`) or the directory that stands in each line. With
    `sources`, `work` makes so many transfers (see `run_several`).
    """
    environ, _ = environment_and_home()
    options = log_options(invocation.given.values, environ)
    invocation.given.errors_as_json = options.stderr_is_json
    origin, whole = LogOrigin(command, target, sources=sources), invocation.whole
    report = _report(options, origin, directory=directory) if whole is None else whole.report
    with (
        stopping() as stopper,
        _opened(invocation, options, origin, report, directory=directory) as log,
    ):
        run = TransferRun(log, stopper, origin, whole=whole)
        run.report = report
        error: BaseException | None = None
        try:
            run.notifier = whole.notifier if whole else _notifier(run, options, origin)
            with _heartbeats(log.channels if sources is None else (), options.interval):
                code = work(run)
        except BaseException as raised:
            error, code = raised, _code_of(raised)
            invocation.reword(raised)
            run.failed(raised)
            raise
        finally:
            result = run.outcome(code, error)
            if whole is None:
                _after(run, result, options)
            else:
                run.result(result)
                whole.add(result, stopped=stopper.stop.is_set())
    return code


def fail(invocation: Invocation, command: str, target: str, error: Exception) -> int:
    """Raise `error`, which comes before the transfer, with all that follows a transfer."""

    def work(_: TransferRun) -> int:
        raise error

    return run_transfer(invocation, command, target, work)


_Item = TypeVar("_Item")


def run_several(
    invocation: Invocation,
    command: str,
    target: str,
    items: Sequence[tuple[str, _Item]],
    transfer: Callable[[Invocation, _Item], int],
    *,
    is_of_one: Callable[[OcihaulError], bool],
) -> int:
    """Make a transfer of each item (behind what it is called), one after the other.

    Returns the worst exit status. What fails from something of its own (`is_of_one`) does not stop
    the others; all else is raised.
    """

    def work(run: TransferRun) -> int:
        part = replace(invocation, whole=run)
        codes = []
        for name, item in items:
            if run.stop.is_set():
                raise TransferCancelled(f"stopped before {name}")
            try:
                codes.append(transfer(part, item))
            except OcihaulError as error:
                if not is_of_one(error):
                    raise
                run.say_failed(name, error)
                codes.append(code_of_one(_code_of(error)))
        failed = sum(map(bool, codes))
        if failed:
            run.notice(f"{failed} of {len(codes)} failed; the others are done.")
        return worst(codes)

    return run_transfer(invocation, command, target, work, sources=len(items))


@contextmanager
def _heartbeats(channels: Sequence[LogChannel], interval: float) -> Iterator[None]:
    def beat() -> None:
        for channel in channels:
            channel.beat()

    with heartbeat(beat, interval):
        yield


def _code_of(error: BaseException) -> int:
    code = UNREAD if isinstance(error, BrokenPipeError) else exit_code(error)
    try:
        return official_code(code) if mimics_official_cli() else code
    except UsageError:
        return code


def _after(run: TransferRun, result: RunResult, options: LogOptions) -> None:
    """Metrics and hooks first: what goes wrong with them is said, and the result is the last."""
    if options.metrics_file is not None:
        from ocihaul.cli.run_result import update_metrics

        try:
            update_metrics(options.metrics_file, result, time.time())
        except OSError as error:
            reason = error.strerror or str(error)
            run.notice(f"Notice: --metrics-file {options.metrics_file}: {reason}")
    if run.report is not None:
        run.report.write(result, say=lambda text: run.notice(f"Notice: {text}"))
    if options.on_finish or options.on_failure:
        from ocihaul.cli.hooks import run_finish_hooks

        run_finish_hooks(
            result,
            on_finish=options.on_finish,
            on_failure=options.on_failure,
            log=options.file,
            say=lambda text: run.notice(f"Notice: {text}"),
        )
    if run.notifier is not None:
        run.notifier.result(result)
    run.result(result)


def _report(options: LogOptions, origin: LogOrigin, *, directory: bool) -> "TransferReport | None":
    if options.report is None:
        return None
    from ocihaul.cli.report import TransferReport

    log = options.file if options.format == "json" else None
    return TransferReport(options.report, origin, directory=directory, log=log)


def _notifier(
    run: TransferRun, options: LogOptions, origin: LogOrigin
) -> "TransferNotifier | None":
    if options.notify is None:
        return None
    from ocihaul.cli.notifications import TransferNotifier, split_urls

    urls = split_urls(options.notify)
    notifier = TransferNotifier(urls, origin, lambda text: run.notice(f"Notice: {text}"))
    notifier.begin()
    return notifier


@dataclass(frozen=True, slots=True)
class _Log:
    """Where a run's lines go; `file` is what its transfers write to, too."""

    channels: Sequence[LogChannel]
    file: "LogFile | None"


@contextmanager
def _opened(
    invocation: Invocation,
    options: LogOptions,
    origin: LogOrigin,
    report: "TransferReport | None",
    *,
    directory: bool,
) -> Iterator[_Log]:
    with ExitStack() as stack:
        first = _on_stderr(invocation, options, origin, stack, directory=directory)
        channels = [first]
        file = None if invocation.whole is None else invocation.whole.file
        if file is None and options.file is not None:
            from ocihaul.cli.transfer_log import LogFile

            file = LogFile(options.file, lambda text: first.notice(f"Notice: {text}"))
            stack.callback(file.close)
        if file is not None:
            channels.append(
                _in_file(invocation, file, options, origin, report, directory=directory)
            )
        if report is not None and (options.file is None or options.format != "json"):
            channels.append(report.channel(origin, directory=directory))
        yield _Log(channels, file)


def _on_stderr(
    invocation: Invocation,
    options: LogOptions,
    origin: LogOrigin,
    stack: ExitStack,
    *,
    directory: bool,
) -> LogChannel:
    stderr, debug = invocation.stderr, invocation.given.debug
    if options.stderr_is_json:
        return _json(lambda line: write_lines(stderr, [line]), origin, directory=directory)
    official = mimics_official_cli()
    whole = invocation.whole
    style = LineStyle(
        object="" if official else origin.object,
        verbose=options.verbose,
        quiet=options.quiet,
        again=whole is not None and whole.token_said,
    )
    at_terminal = is_terminal(stderr)
    quiet_for = math.inf if official else SHORT
    if debug or options.verbose or (at_terminal and not official):
        quiet_for = 0.0
    kind = DirectoryReporter if directory else Reporter
    if not can_draw(stderr) or debug or options.quiet or origin.sources is not None:
        screen = PlainOutput(stderr)
        return TextChannel(kind(screen, debug=debug, quiet_for=quiet_for, style=style), style)
    bar = StatusBar(stderr)
    reporter = kind(bar, style=style)
    bar.start(reporter.status)
    stack.callback(bar.close)
    return TextChannel(reporter, style, bar=bar)


def _in_file(
    invocation: Invocation,
    file: "LogFile",
    options: LogOptions,
    origin: LogOrigin,
    report: "TransferReport | None",
    *,
    directory: bool,
) -> LogChannel:
    if options.format == "json":
        write = file.write if report is None else report.beside(file.write)
        return _json(write, origin, directory=directory)
    style = LineStyle(object=origin.object, verbose=options.verbose)
    from ocihaul.cli.transfer_log import FileOutput

    screen: Screen = FileOutput(file)
    kind = DirectoryReporter if directory else Reporter
    reporter = kind(screen, debug=invocation.given.debug, style=style)
    return TextChannel(reporter, style, is_file=True)


def _json(write: Callable[[str], None], origin: LogOrigin, *, directory: bool) -> JsonChannel:
    from ocihaul.cli.transfer_log import JsonLog

    log = JsonLog(write, origin, directory=directory)
    log.begin()
    return JsonChannel(log)
