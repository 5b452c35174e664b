"""A storm: commands under random faults, killed at random moments and run again until they end.

After each kill, and at the end of each transfer, everything that must hold is looked at. What does
not hold is counted and the storm goes on.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import crc32c

from ocihaul.emulator import Emulator, FaultRates, LogEntry, Settings, UploadInfo
from tests.functional import forked
from tests.functional.forked import Forked
from tests.storm import full_disk
from tests.storm.pieces import Part, lost, moved_again, name_of
from tests.storm.plan import Plan, Run
from tests.storm.state import State, read_state
from tests.storm.tally import Tally
from tests.storm.transfers import BUCKET, TRANSFERS, Download
from tests.storm.trial import Trial
from tests.storm.watch import Watch
from tests.world import MIB, Ran, World

RATES = FaultRates(status_500=0.01, status_503=0.01, cut=0.01, damage=0.01, late=0.02)
CALM = FaultRates()
#: Seconds that a token lives in a storm: some runs, more where the machine is busy. A session that
#: nobody has kept is logged in anew before a run.
_SHORT_TOKEN = 3.0
_RUNS_PER_TOKEN = 5
_LOGIN_BELOW = 0.25
#: And out of it.
_LONG_TOKEN = 600.0
#: Bytes a second in each direction, so that a transfer of 10 MiB has a middle.
_BANDWIDTH = 64.0 * MIB
#: A transfer is killed at most so often, and ends within so many runs more; the last has no faults.
_MOST_KILLS = 4
_MOST_RUNS = 5
#: Kills between two lines that tell how far it is.
_TOLD = 100
_GOOD_EXITS = {0, 1, 75, 130}
_SHOULD_NOT_HAPPEN = ("Traceback", "This should not happen")
_DAMAGED = "damaged-download"
#: A range that came damaged shows only in the whole: then all of it has to come again. A late
#: request of a run that was killed replaces a finished object with its own copy, which is another.
_ALTERING = {_DAMAGED, "late"}
_UPLOADS = tuple(kind for kind in TRANSFERS if not issubclass(kind, Download))


@dataclass
class Storm:
    """One storm over one emulator; `tally` is its outcome."""

    w: World
    plan: Plan
    tally: Tally
    watch: Watch
    disk: Path | None = None
    durations: dict[str, float] = field(default_factory=dict)
    token_life: float = _LONG_TOKEN
    #: The one that was in use, while a long one is.
    short_token: str = ""

    def blow(self, kills: int, tell: Callable[[str], object]) -> None:
        """Go on until so many commands were killed; now and then `tell` is told how far it is."""
        self.measure()
        trial = told = 0
        while (killed := self.tally.kills.total()) < kills:
            if killed >= told + _TOLD:
                told = killed
                tell(f"{killed} of {kills} kills, {self.tally.findings.total()} findings\n")
            trial += 1
            self.one(trial, kills)
        self.tally.faults.update(self.w.oci.random_faults.fired())
        self.tally.faults["tokens renewed"] = self.w.oci.auth.refreshes

    def measure(self) -> None:
        """How long each kind of command takes when nothing goes wrong."""
        # The first one pays for what all others are forked from.
        for index, kind in enumerate((TRANSFERS[0], *TRANSFERS)):
            transfer = kind(self.w, -1 - index, self.plan.chance(-1 - index))
            trial = Trial(-1 - index, transfer, full_disk=False)
            began = time.monotonic()
            ran = self.start(trial, transfer.command()).ran()
            self.durations[kind.kind] = time.monotonic() - began
            self.judge(trial, ran)
            assert ran.code == 0, f"{kind.kind}, without a fault: {ran.err}"
            transfer.clean()
        self.token_life = max(_SHORT_TOKEN, _RUNS_PER_TOKEN * max(self.durations.values()))

    def one(self, number: int, kills: int) -> None:
        """One transfer, killed and run again until it has ended well."""
        kind = self.plan.next_kind(number)
        chance = self.plan.chance(number)
        (transfer,) = (each(self.w, number, chance) for each in TRANSFERS if each.kind == kind)
        full = self.plan.disk_is_full(number) and isinstance(transfer, _UPLOADS)
        trial = Trial(number, transfer, full, began=self.last_request())
        if full:
            trial.room = chance.randint(4, 260)
        if full and self.disk is not None:
            full_disk.fill(self.disk, trial.room)
        self.tally.counts["transfers"] += 1
        self.tally.counts["transfers with a full disk"] += full
        killable = chance.randint(1, _MOST_KILLS)
        for left in reversed(range(killable + _MOST_RUNS)):
            run = self.plan.next_run(kind, chance)
            if left < _MOST_RUNS or self.tally.kills.total() >= kills:
                run = Run(None, run.calm or not left)
            self.weather(calm=run.calm, last=not left)
            if self.run(trial, run):
                break
        else:
            self.tally.found("transfers that never ended well", [trial.texts[-1]], trial.title)
        self.weather(calm=True, last=True)
        self.at_the_end(trial)
        self.tally.counts["requests"] += len(self.entries(trial.began))
        transfer.clean()
        self.w.oci.log.clear()

    def run(self, trial: Trial, run: Run) -> bool:
        """One run, and whether the transfer has ended well with it."""
        since = self.last_request()
        process = self.start(trial, trial.transfer.command())
        if run.kill_at is not None:
            # A moment of another process: there is nothing else to wait on.
            process.wait(run.kill_at * self.durations[trial.transfer.kind])
            if process.kill():
                self.tally.killed(trial.transfer.kind, run.kill_at)
                self.plan.killed[trial.transfer.kind] += 1
                self.after_a_kill(trial, process.ran(), since)
                return False
        ran = process.ran()
        self.tally.exits[ran.code] += 1
        self.judge(trial, ran)
        self.look(trial, since)
        trial.finished, trial.unrecorded = set(), set()
        damaged = any(entry.fault == _DAMAGED for entry in self.entries(trial.began))
        if ran.code not in _GOOD_EXITS or (ran.code == 1 and not damaged):
            self.tally.found("failed runs", [f"exit {ran.code}: {ran.err[-1000:]}"], trial.title)
        return ran.code == 0

    def start(self, trial: Trial, words: tuple[str, ...], *, limited: bool = True) -> Forked:
        """Start a command of this transfer; `limited`: the limit on its files counts."""
        environ, largest = {}, None
        if trial.full_disk and self.disk is not None:
            environ["OCIHAUL_STATE_DIR"] = str(self.disk)
        elif trial.full_disk and limited:
            largest = trial.room * 1024
        self.tally.counts["runs"] += 1
        transfer = trial.transfer
        return forked.start(
            self.w,
            *words,
            stdin=transfer.stdin,
            largest_file=largest,
            part_size=transfer.part_size,
            environ=environ,
        )

    # --- looking

    def after_a_kill(self, trial: Trial, ran: Ran, since: int) -> None:
        """What has to hold at every moment, and what the next run may not do again."""
        self.judge(trial, ran)
        self.look(trial, since)
        state = self.state(trial)
        self.tally.found("broken databases", state.damage, trial.title)
        at_service = set(self.parts_at_service(trial))
        uploads = {upload.upload_id for upload in self.uploads(trial)}
        parts = {part for part in state.parts if part.upload_id in uploads}
        if not trial.transfer.goes_on or trial.forgetful:
            parts, at_service = set(), set()
        trial.recorded |= parts
        trial.finished = parts | trial.transfer.finished(state)
        trial.unrecorded = at_service - parts
        self.tally.counts["kills half-way"] += bool(trial.finished)
        self.tally.counts["finished pieces at kills"] += len(trial.finished)

    def look(self, trial: Trial, since: int) -> None:
        """Objects, files, and what was moved although it was finished when the run began."""
        transfer, entries = trial.transfer, self.entries(since)
        kind = "wrong files" if isinstance(transfer, Download) else "wrong objects"
        self.tally.found(kind, transfer.wrong(), trial.title)
        if not isinstance(transfer, Download):
            seen = self.watch.wrong(transfer.wanted, transfer.old)
            self.tally.found("objects wrong for a moment", seen, trial.title)
        altered = {name_of(each) for each in self.entries(trial.began) if each.fault in _ALTERING}
        known = set() if trial.forgetful else trial.finished
        finished = [each for each in known if getattr(each, "name", "") not in altered]
        self.tally.found("sends of finished parts", moved_again(finished, entries), trial.title)
        again = list(moved_again(trial.unrecorded, entries))
        self.tally.counts["parts sent again that only the service had"] += len(again)

    def at_the_end(self, trial: Trial) -> None:
        """The transfer has ended well: all of it is there, nothing is left, a later run sees it."""
        transfer, title = trial.transfer, trial.title
        kind = "wrong files" if isinstance(transfer, Download) else "wrong objects"
        self.tally.found(kind, (f"{name} at the end" for name in transfer.missing()), title)
        left = [path.name for path in transfer.temporaries()]
        self.tally.found("temporaries left behind", left, title)
        self.tally.found("orphans not named", self.orphans(trial), title)
        recorded = set() if trial.forgetful else trial.recorded
        gone = lost(recorded, self.entries(trial.began))
        self.tally.found("lost finished parts", gone, title)
        since = self.last_request()
        ran = self.start(trial, transfer.later(), limited=False).ran()
        self.judge(trial, ran)
        if ran.code != 0:
            self.tally.found("later runs that failed", [ran.err[-1000:]], title)
        moved = moved_again(transfer.settled(), self.entries(since))
        self.tally.found("sends of finished parts", (f"{each}, later" for each in moved), title)
        self.tally.found(kind, (f"{name} later" for name in transfer.missing()), title)

    def orphans(self, trial: Trial) -> Iterator[str]:
        """Uploads that are left, and that neither the journal nor any run has named.

        A creation may have its effect when the next run has looked already: the request of a killed
        run is still on its way, or is late. It has no parts, so it costs nothing: it is counted
        apart. So is what a run created that had said that the journal is of no use.
        """
        known = self.state(trial).uploads
        entries = self.entries(trial.began)
        late = sum(
            entry.operation == "CreateMultipartUpload" and came_too_late(entry, entries)
            for entry in entries
        )
        for upload in self.uploads(trial):
            named = any(upload.upload_id in text for text in trial.texts)
            if named or upload.upload_id in known:
                continue
            if late and not upload.parts:
                late -= 1
                self.tally.counts["creations that came too late to be seen"] += 1
                continue
            if trial.forgetful:
                self.tally.counts["creations that no journal could note"] += 1
                continue
            story = "\n".join(
                f"  {entry.started_at - upload.created:+.3f} {entry.connection} {entry.operation} "
                f"{entry.status} {entry.fault} {entry.upload_id}"
                for entry in entries
                if entry.operation != "UploadPart"
            )
            yield (
                f"{upload.object_name} with {len(upload.parts)} parts: {upload.upload_id}, seconds "
                f"from its creation:\n{story}\nsaid:\n{'---'.join(trial.texts)}"
            )

    def uploads(self, trial: Trial) -> list[UploadInfo]:
        """Those of this transfer that the service has."""
        uploads = self.w.oci.uploads(BUCKET)
        return [each for each in uploads if each.object_name.startswith(trial.transfer.prefix)]

    def parts_at_service(self, trial: Trial) -> Iterator[Part]:
        """The parts that the service has, and that are right."""
        step = trial.transfer.part_size
        for upload in self.uploads(trial):
            data = memoryview(trial.transfer.wanted.get(upload.object_name, b""))
            for part in upload.parts:
                right = data[(part.number - 1) * step :][: part.size]
                if crc32c.crc32c(right) == part.checksums.crc32c:
                    yield Part(upload.upload_id, part.number)

    def judge(self, trial: Trial, ran: Ran) -> None:
        """What a run has said."""
        text = ran.out + ran.err
        self.tally.faults["full disk noticed"] += trial.said(text) and trial.full_disk
        bad = [ran.err[-1500:] for word in _SHOULD_NOT_HAPPEN if word in text]
        self.tally.found("errors that should not happen", bad[:1], trial.title)
        try:
            self.w.checked(ran)
        except AssertionError as error:
            self.tally.found("secrets in output", [str(error)], trial.title)

    # --- the environment_and_home

    def state(self, trial: Trial) -> State:
        on_disk = trial.full_disk and self.disk is not None
        return read_state(self.disk if on_disk and self.disk else self.w.home / "state")

    def last_request(self) -> int:
        return self.w.oci.log.next_sequence()

    def entries(self, since: int) -> list[LogEntry]:
        return [entry for entry in self.w.oci.log.entries() if entry.sequence > since]

    def weather(self, *, calm: bool, last: bool) -> None:
        """Set the faults of the next run, and a token for it.

        Killed runs do not keep a session: a token that is about to end is replaced by a login. In
        the `last` run of a transfer it cannot end.
        """
        self.w.oci.random_faults.set(CALM if calm else RATES)
        self.w.oci.configure(token_ttl=_LONG_TOKEN if last else self.token_life)
        if last:
            self.short_token = self.short_token or self.w.token_file.read_text()
            self.use(self.w.oci.issue_token(self.w.logins[-1]))
            return
        if self.short_token:
            self.use(self.short_token)
            self.short_token = ""
        left = self.w.oci.auth.find(self.w.token_file.read_text()).expires_at - time.time()
        if not self.token_life * _LOGIN_BELOW < left <= self.token_life:
            self.use(self.w.oci.issue_token(self.w.logins[-1]))
            self.tally.counts["logins"] += 1

    def use(self, token: str) -> None:
        """Put a token into the profile, as a login elsewhere does."""
        newer = self.w.token_file.with_name("newer")
        newer.touch(mode=0o600)
        newer.write_text(token)
        newer.replace(self.w.token_file)


def came_too_late(creation: LogEntry, entries: list[LogEntry]) -> bool:
    """Whether a later run has listed the uploads before this one was created, or may have."""
    if creation.fault == "late":
        return True
    done = creation.finished_at or float("inf")
    return any(
        entry.operation == "ListMultipartUploads"
        and entry.connection != creation.connection
        and creation.started_at <= entry.started_at <= done
        for entry in entries
    )


@contextmanager
def storm(home: Path, *, seed: int, tmpfs: bool) -> Iterator[Storm]:
    """A storm that can begin; `tmpfs`: a journal's full disk is a real one, where that can be."""
    settings = Settings(
        token_ttl=_LONG_TOKEN,
        integer_claims=False,
        bandwidth=_BANDWIDTH,
        answer_bandwidth=_BANDWIDTH,
    )
    watch = Watch()
    with Emulator(settings, on_request=watch) as oci:
        watch.oci = oci
        config = oci.write_profile(home / "oci", session=(session := oci.login()))
        w = World(oci, home, config, logins=[session])
        oci.random_faults.set(CALM, seed=seed)
        kinds = [kind.kind for kind in TRANSFERS]
        blowing = Storm(w, Plan(seed, kinds), Tally(seed), watch)
        began = time.monotonic()
        if tmpfs:
            with full_disk.small_disk(home / "full") as disk:
                blowing.disk = disk
                yield blowing
        else:
            yield blowing
        blowing.tally.seconds = time.monotonic() - began
