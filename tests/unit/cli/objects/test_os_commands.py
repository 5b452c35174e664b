"""The commands of one question, on the real core: what they ask, what they say, and to whom."""

import io
import json
import shlex
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest

from ocihaul.cli import app
from ocihaul.cli.objects.object_commands import restored_text
from ocihaul.cli.objects.official_json import dashed, time_text
from ocihaul.cli.objects.query_command import gathered, streamed
from ocihaul.cli.objects.work_requests import outcome
from ocihaul.cli.options import Moment
from ocihaul.emulator import Emulator, Fault, Settings
from ocihaul.storage.values import ListedObject, ObjectPage, WorkRequest
from tests.unit.cli.conftest import Outcome

Run = Callable[..., Outcome]
PLACE = ("-ns", "ns1", "-bn", "backups")
PAR = (*PLACE, "--name", "p", "--access-type", "ObjectWrite", "-on", "x")


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(Settings()) as running:
        yield running


@pytest.fixture
def run(emulator: Emulator, home: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `os …` against the emulator."""
    config = emulator.write_profile(home / "oci")

    def command(*argv: str) -> Outcome:
        place = ["--config-file", str(config), "--auth", "security_token"]
        place += ["--endpoint", emulator.endpoint, "--auth-endpoint", emulator.endpoint]
        code = app.run(["os", *argv, *place])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return command


class Terminal(io.StringIO):
    """A person who types this."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Sit a person down who answers with this."""

    def sit(answer: str) -> None:
        monkeypatch.setattr(sys, "stdin", Terminal(answer))
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)

    return sit


def test_the_namespace_is_asked_for_where_it_is_not_given(emulator: Emulator, run: Run) -> None:
    emulator.put_object("backups", "it", b"x")
    assert json.loads(run("object", "list", "-bn", "backups").out)["data"][0]["name"] == "it"
    assert emulator.log.count(operation="GetNamespace") == 1
    assert run("object", "list", *PLACE).code == 0
    assert emulator.log.count(operation="GetNamespace") == 1


@pytest.mark.parametrize(
    ("argv", "missing"),
    [
        (("object", "head", "-bn", "b"), "--name"),
        (("object", "list"), "--bucket-name"),
        (("object", "delete", "-bn", "b", "--force"), "--object-name"),
        (("bucket", "list"), "--compartment-id"),
        (("preauth-request", "create", *PLACE), "--name, --access-type, --time-expires"),
        (("multipart", "abort", *PLACE, "--force"), "--object-name, --upload-id"),
        (("object", "copy", *PLACE), "--source-object-name, --destination-bucket"),
    ],
)
def test_what_is_missing_is_named(
    emulator: Emulator, run: Run, argv: tuple[str, ...], missing: str
) -> None:
    done = run(*argv)
    assert (done.code, done.out) == (2, "")
    assert f"UsageError: Missing option(s) {missing}.\n" in done.err
    assert emulator.log.entries() == []


@pytest.mark.parametrize(
    "argv",
    [
        ("object", "list", *PLACE, "--all", "--limit", "3"),
        ("object", "list", *PLACE, "--stream-output"),
        ("object", "list", *PLACE, "--limit", "0"),
        ("multipart", "list", *PLACE, "--all", "--limit", "3"),
        ("object", "restore", *PLACE, "--name", "x", "--hours", "241"),
        ("preauth-request", "create", *PAR, "--time-expires", "tomorrow"),
        ("preauth-request", "create", *PAR[:-4], "--access-type", "Everything"),
        ("object", "head", *PLACE, "--name", "bad\udcff"),
        ("object", "rename", *PLACE, "--name", "it", "--new-name", "bad\udcff"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    emulator: Emulator, run: Run, argv: tuple[str, ...]
) -> None:
    done = run(*argv)
    assert (done.code, done.out) == (2, ""), done.err
    assert emulator.log.entries() == []


def test_from_json_and_aliases_name_the_same_options(
    emulator: Emulator, run: Run, home: Path
) -> None:
    emulator.put_object("backups", "it", b"x")
    document = home / "rename.json"
    document.write_text(json.dumps({"bucketName": "backups", "sourceName": "it", "ns": "ns1"}))
    source = ("--from-json", f"file://{document}")
    assert (
        run("object", "rename", *source, "--new-name", "new", "--new-if-none-match", "*").code == 0
    )
    assert emulator.object_names("backups") == ["new"]
    argv = ("-ns", "ns1", "--bucket", "backups", "--source-name", "new", "--new-name", "newer")
    assert run("object", "rename", *argv, "--src-if-match", "other").code == 1
    assert emulator.object_names("backups") == ["new"]


@pytest.mark.parametrize(("answer", "code", "left"), [("y\n", 0, []), ("\n", 1, ["it"])])
def test_a_deletion_is_asked_for_at_a_terminal(
    *,
    emulator: Emulator,
    run: Run,
    person: Callable[[str], None],
    answer: str,
    code: int,
    left: list[str],
) -> None:
    emulator.put_object("backups", "it", b"x")
    person(answer)
    done = run("object", "delete", *PLACE, "--name", "it")
    assert (done.code, done.out) == (code, "")
    assert "Are you sure you want to delete this resource? [y/N]: " in done.err
    assert emulator.object_names("backups") == left


@pytest.mark.parametrize(
    "argv",
    [
        ("object", "delete", *PLACE, "--name", "it"),
        ("preauth-request", "delete", *PLACE, "--par-id", "it"),
        ("multipart", "abort", *PLACE, "-on", "it", "--upload-id", "u"),
    ],
)
def test_without_a_terminal_nothing_is_deleted(
    emulator: Emulator, run: Run, argv: tuple[str, ...]
) -> None:
    done = run(*argv)
    assert (done.code, done.out) == (1, "")
    assert "--force" in done.err
    assert emulator.log.entries() == []


def test_a_deletion_whose_reply_was_lost_is_done(emulator: Emulator, run: Run) -> None:
    emulator.put_object("backups", "it", b"x")
    emulator.faults.add(Fault(operation="DeleteObject", cut_before_answer=True))
    assert run("object", "delete", *PLACE, "--name", "it", "--force").code == 0
    emulator.faults.assert_all_fired()
    assert emulator.log.count(operation="DeleteObject", status=404) == 1
    assert run("object", "delete", *PLACE, "--name", "it", "--force").code == 1


@pytest.mark.parametrize("new", [(), ("--new-if-none-match", "*")])
def test_a_rename_whose_reply_was_lost_is_done(
    emulator: Emulator, run: Run, new: tuple[str, ...]
) -> None:
    etag = emulator.put_object("backups", "it", b"x").etag
    emulator.faults.add(Fault(operation="RenameObject", cut_before_answer=True))
    done = run("object", "rename", *PLACE, "--name", "it", "--new-name", "new", *new)
    emulator.faults.assert_all_fired()
    assert (done.code, json.loads(done.out)) == (0, {"etag": etag})


def test_a_rename_that_cannot_be_is_an_error_even_after_a_lost_reply(
    emulator: Emulator, run: Run
) -> None:
    for name in ("it", "new"):
        emulator.put_object("backups", name, b"x")
    emulator.faults.add(Fault(operation="RenameObject", status=503))
    argv = ("--name", "it", "--new-name", "new", "--new-if-none-match", "*")
    done = run("object", "rename", *PLACE, *argv)
    emulator.faults.assert_all_fired()
    assert (done.code, done.out) == (1, "")
    assert "IfNoneMatchFailed" in done.err
    assert emulator.object_names("backups") == ["it", "new"]


def test_one_version_is_seen_and_deleted(emulator: Emulator, run: Run) -> None:
    emulator.create_bucket("kept", versioning="Enabled")
    first = emulator.put_object("kept", "it", b"1").version_id
    emulator.put_object("kept", "it", b"22")
    place = ("-ns", "ns1", "-bn", "kept", "--name", "it")
    assert json.loads(run("object", "head", *place).out)["content-length"] == "2"
    head = run("object", "head", *place, "--version-id", first)
    assert json.loads(head.out)["content-length"] == "1"
    assert run("object", "delete", *place, "--version-id", first, "--force").code == 0
    assert run("object", "head", *place, "--version-id", first).code == 1
    assert emulator.object_names("kept") == ["it"]


def test_a_restore_is_followed_on_stderr(emulator: Emulator, run: Run) -> None:
    emulator.configure(restore_seconds=60.0)
    emulator.put_object("backups", "cold", b"x", storage_tier="Archive")
    place = (*PLACE, "--name", "cold")
    said = [run("object", "restore-status", *place)]
    said += [run("object", "restore", *place, "--hours", "25") for _ in range(2)]
    said += [run("object", "restore-status", *place)]
    emulator.configure(clock_offset=61.0)
    said += [run("object", "restore-status", *place)]
    assert all((done.code, done.out) == (0, "") for done in said)
    parts = ("Archived, ", "in about 1 hour", "set anew", "Restoring, ", "Restored. You have 1 day")
    for done, part in zip(said, parts, strict=True):
        assert part in done.err
    hours = restored_text("2026-01-02T01:01:30Z", datetime(2026, 1, 1, tzinfo=UTC))
    assert "1 day 1 hour 1 min to" in hours
    assert "less than 1 minute" in restored_text(
        "2026-01-01T00:00:59Z", datetime(2026, 1, 1, tzinfo=UTC)
    )
    assert restored_text("soon", datetime.now(UTC)).endswith("re-archived at soon.")


def test_the_command_that_a_restore_names_can_be_copied_into_a_shell(
    emulator: Emulator, run: Run
) -> None:
    name = "2026 night; $(ls) it's.tar"
    emulator.put_object("backups", name, b"x", storage_tier="Archive")
    for command in ("restore-status", "restore"):
        said = run("object", command, *PLACE, "--name", name).err
        quoted = said.partition("'ocihaul ")[2].partition("' command")[0]
        assert shlex.split(quoted)[-6:] == ["-ns", "ns1", "-bn", "backups", "--name", name]


def test_a_copy_is_waited_for_until_it_is_over(emulator: Emulator, run: Run) -> None:
    emulator.put_object("backups", "it", b"x")
    argv = (*PLACE, "--source-object-name", "it", "--destination-bucket", "backups")
    done = run("object", "copy", *argv, "--destination-object-name", "a")
    assert list(json.loads(done.out)) == ["opc-work-request-id"]
    wait = ("--wait-for-state", "COMPLETED", "--wait-interval-seconds", "0")
    done = run("object", "copy", *argv, "--destination-object-name", "b", *wait)
    assert (done.code, json.loads(done.out)["data"]["status"]) == (0, "COMPLETED")
    emulator.put_object("backups", "mine", b"x")
    only_new = ("--destination-object-if-none-match-e-tag", "*")
    done = run("object", "copy", *argv, "--destination-object-name", "mine", *only_new, *wait)
    assert (done.code, json.loads(done.out)["data"]["status"]) == (1, "FAILED")
    emulator.configure(copy_seconds=3600.0)
    short = ("--max-wait-seconds", "0")
    done = run("object", "copy", *argv, "--destination-object-name", "c", *wait, *short)
    assert (done.code, json.loads(done.out)["data"]["status"]) == (2, "IN_PROGRESS")
    assert "Failed to wait" in done.err
    assert outcome(WorkRequest("w", "CANCELED", None, {}), ["COMPLETED"]) == 1


@pytest.mark.parametrize("debug", [(), ("--debug",)])
def test_the_url_of_a_par_is_on_stdout_and_nowhere_else(
    emulator: Emulator, run: Run, debug: tuple[str, ...]
) -> None:
    emulator.faults.add(Fault(operation="CreatePreauthenticatedRequest", status=503))
    made = run("preauth-request", "create", *PAR, "--time-expires", "2099-01-01", *debug)
    emulator.faults.assert_all_fired()
    assert made.code == 0, made.err
    (secret,) = emulator.par_secrets()
    told = json.loads(made.out)["data"]
    assert secret in told["access-uri"]
    assert secret in told["full-path"]
    assert secret not in made.err
    for argv in (
        ("list", *PLACE),
        ("get", *PLACE, "--par-id", told["id"]),
        ("delete", *PLACE, "--par-id", told["id"], "--force"),
        ("get", *PLACE, "--par-id", told["id"]),
    ):
        done = run("preauth-request", *argv, *debug)
        assert secret not in done.out + done.err
    assert done.code == 1


def test_one_value_is_taken_out_of_a_par(emulator: Emulator, run: Run) -> None:
    query = ("--query", 'data."access-uri"', "--raw-output")
    made = run("preauth-request", "create", *PAR, "--time-expires", "2099-01-01", *query)
    (secret,) = emulator.par_secrets()
    assert made.out == f"/p/{secret}/n/ns1/b/backups/o/x\n"


def test_a_refusal_is_told_as_the_service_words_it(run: Run) -> None:
    done = run("object", "list", "-ns", "ns1", "-bn", "nowhere")
    assert (done.code, done.out) == (1, "")
    assert '"code": "BucketNotFound"' in done.err
    assert run("ns", "get").out == '{\n  "data": "ns1"\n}\n'


@pytest.mark.parametrize("sizes", [(), (0,), (2,), (1, 0, 2)])
def test_a_streamed_list_is_the_gathered_one(sizes: tuple[int, ...]) -> None:
    def pages() -> Iterator[ObjectPage]:
        for number, size in enumerate(sizes):
            objects = (ListedObject(name=f"{number}/é\n{each}", size=each) for each in range(size))
            yield ObjectPage(tuple(objects), (f"{number}/",))

    expected = json.dumps(gathered(pages()), indent=2, sort_keys=True, ensure_ascii=False)
    assert "".join(streamed(pages())) == expected + "\n"


def test_a_streamed_list_is_printed_as_it_comes(emulator: Emulator, run: Run) -> None:
    for name in ("a", "b", "c/1"):
        emulator.put_object("backups", name, b"x")
    argv = ("object", "list", *PLACE, "--all", "--delimiter", "/")
    assert run(*argv, "--stream-output").out == run(*argv).out
    emulator.faults.add(Fault(operation="ListObjects", after=1, status=400))
    broken = run(*argv, "--stream-output", "--page-size", "1")
    emulator.faults.assert_all_fired()
    assert broken.code == 1
    with pytest.raises(ValueError, match="Expecting"):
        json.loads(broken.out)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2030-01-31", "2030-01-31T00:00:00.000Z"),
        ("2030-01-31 12:30", "2030-01-31T12:30:00.000Z"),
        ("2030-01-31T12:30:00.123456Z", "2030-01-31T12:30:00.123Z"),
        ("2030-01-31T12:30-08:00", "2030-01-31T20:30:00.000Z"),
        ("2030-01-31T12:30:00-0800", "2030-01-31T20:30:00.000Z"),
        ("1412195400", "2014-10-01T20:30:00.000Z"),
    ],
)
def test_times_come_in_all_the_stock_forms(text: str, moment: str) -> None:
    assert Moment().convert(text, None, None) == moment


@pytest.mark.parametrize(
    "text", ["", "tomorrow", "2030-02-30", "9" * 30, "12:30", "0001-01-01T00:00+23:00"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        Moment().convert(text, None, None)


def test_names_and_times_are_written_as_the_stock_cli_does() -> None:
    assert dashed("objectLifecyclePolicyEtag") == "object-lifecycle-policy-etag"
    assert time_text("2026-11-24T03:18:51.192Z") == "2026-11-24T03:18:51.192000+00:00"
    assert time_text("2026-11-24T03:18:51Z") == "2026-11-24T03:18:51+00:00"
    assert time_text("some day") == "some day"
