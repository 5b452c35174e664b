"""What deploy/ and docs/containers.md promise of the image, tried with the image."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.container.engine import READY, ROOT, Engine
from tests.pages import DOCS, try_page
from tests.world import MIB, World

KUBERNETES = ROOT / "deploy" / "kubernetes"
PART = 2


def wait_for(what: Callable[[], bool], process: "subprocess.Popen[str] | None" = None) -> None:
    """Until it is so; a process that ended before is a failure."""
    deadline = time.monotonic() + READY
    while not what():
        if process is not None and process.poll() is not None:
            raise AssertionError(f"it ended: {process.communicate()}")
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)  # a container's log cannot be waited for


def mounted(w: World, engine: Engine) -> list[str]:
    """`~/.oci` of the world as the image has it, and the directory with its files."""
    login = w.home / "oci"
    for config in login.glob("config"):
        config.write_text(config.read_text().replace(f"{login}/", "~/.oci/"))
    backup = w.home / "backup"
    backup.mkdir(exist_ok=True)
    engine.own(w.home)
    return ["--volume", f"{login}:/oracle/.oci", "--volume", f"{backup}:/backup:ro"]


def environment(w: World) -> list[str]:
    given = {"OCI_CLI_ENDPOINT": w.oci.endpoint, "OCIHAUL_AUTH_ENDPOINT": w.oci.endpoint}
    return [word for name, value in given.items() for word in ("--env", f"{name}={value}")]


def put(name: str, *more: str) -> list[str]:
    """The report's command, flag for flag, with parts that fit the test."""
    return [
        *("os", "object", "put", "--bucket-name", "backups", "--namespace", "ns1"),
        *("--file", f"/backup/{name}", "--name", name, "--storage-tier", "Archive"),
        *("--no-overwrite", "--part-size", str(PART), "--parallel-upload-count", "3"),
        *("--verify-checksum", "--auth", "security_token", "--region", "eu-frankfurt-1"),
        *("--session-wait", "0", "--verbose", *more),
    ]


def run(w: World, engine: Engine, image: str, *args: str, name: str = "") -> list[str]:
    """The words after `run` for a container that is gone when it ends."""
    name = name or engine.name()
    given = [*engine.options(), *mounted(w, engine), *environment(w)]
    return ["--rm", "--name", name, *given, image, *args]


def parts_done(w: World) -> int:
    return w.oci.log.count(operation="UploadPart", status=200)


def test_the_reports_command_through_several_tokens(
    slow: World, engine: Engine, image: str
) -> None:
    (slow.home / "backup").mkdir()
    file = slow.file(30 * MIB, "backup/db.tar")
    done = engine.call("run", *run(slow, engine, image, *put("db.tar")))
    assert done.returncode == 0, done.stderr
    assert slow.arrived_whole(file)
    assert slow.refreshes() >= 2
    assert json.loads(done.stdout)["etag"]
    assert "RESULT done, 30.0 MiB" in done.stderr
    assert not any(secret in done.stderr for secret in slow.secrets())
    # What a run leaves belongs to its user, beside the configuration.
    left = slow.home / "oci" / "ocihaul" / "journal.sqlite3"
    assert left.stat().st_uid == engine.user
    assert left.stat().st_mode & 0o077 == 0


def test_a_killed_container_goes_on_in_another_one(slow: World, engine: Engine, image: str) -> None:
    (slow.home / "backup").mkdir()
    file = slow.file(24 * MIB, "backup/db.tar")
    name = engine.name()
    with engine.start(*run(slow, engine, image, *put("db.tar"), name=name)) as process:
        wait_for(lambda: parts_done(slow) >= 4, process)
        engine.must("kill", "--signal", "KILL", name)
        process.communicate(timeout=READY)
        assert process.returncode == 128 + signal.SIGKILL
    finished = parts_done(slow)
    assert finished < 12
    done = engine.call("run", *run(slow, engine, image, *put("db.tar")))
    assert done.returncode == 0, done.stderr
    assert slow.arrived_whole(file)
    # What was under way at the kill may count at the service, and not in the journal: 3 at a time.
    assert parts_done(slow) <= 12 + 3
    assert parts_done(slow) - finished <= 12 - (finished - 3)
    assert slow.oci.log.count(operation="CreateMultipartUpload") == 1


def test_a_stop_is_heard_by_process_1(slow: World, engine: Engine, image: str) -> None:
    (slow.home / "backup").mkdir()
    slow.file(40 * MIB, "backup/db.tar")
    name = engine.name()
    with engine.start(*run(slow, engine, image, *put("db.tar"), name=name)) as process:
        wait_for(lambda: parts_done(slow) >= 3, process)
        engine.must("stop", "--time", "60", name)
        _, err = process.communicate(timeout=READY)
    assert process.returncode == 130, err
    assert "RESULT interrupted" in err
    assert slow.oci.log.count(operation="CommitMultipartUpload") == 0


def test_the_keeper_ends_with_0_and_is_healthy_while_the_session_is(
    slow: World, engine: Engine, image: str
) -> None:
    name = engine.name()
    given = [*engine.options(health=True), *mounted(slow, engine), *environment(slow)]
    engine.must("run", "--detach", "--name", name, *given, image, "session", "keep")
    wait_for(lambda: slow.refreshes() >= 2)
    check = image_facts(engine, image)["Healthcheck"]["Test"]
    assert check == ["CMD", "ocihaul", "session", "status"]
    assert engine.call("exec", name, *check[1:]).returncode == 0
    slow.end_sessions()
    wait_for(lambda: engine.call("exec", name, *check[1:]).returncode == 1)
    engine.must("stop", "--time", "60", name)
    assert engine.must("inspect", "--format", "{{.State.ExitCode}}", name).strip() == "0"


def image_facts(engine: Engine, image: str) -> dict[str, Any]:
    (facts,) = json.loads(engine.must("image", "inspect", image))
    config = dict(facts["Config"])
    # podman has it beside the configuration.
    config.setdefault("Healthcheck", facts.get("Healthcheck") or facts.get("HealthCheck"))
    config["Size"] = facts["Size"]
    return config


def test_the_image_has_what_is_needed_and_no_more(engine: Engine, image: str) -> None:
    facts = image_facts(engine, image)
    assert facts["User"] == "1000:1000"
    assert facts["Entrypoint"] == ["ocihaul"]
    (base,) = json.loads(engine.must("image", "inspect", engine.base))
    assert facts["Size"] - base["Size"] < 60 * 10**6
    words = ["--rm", "--entrypoint", "sh", *engine.options(), image, "-c"]
    script = "ls -d /src /wheels /opt/*/bin/pip* /opt/with-pip 2>/dev/null; which flock date; id -u"
    told = engine.must("run", *words, script).split()
    assert told == ["/usr/bin/flock", "/usr/bin/date", str(engine.user)]
    zone = engine.must("run", *words, "TZ=Asia/Tokyo date +%z")
    assert zone.strip() == "+0900"


# Kubernetes: what the pods run, with their mounts, their user and their file system.


def containers(file: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The pod's specification and its containers, in the order in which they run."""
    spec = yaml.safe_load((KUBERNETES / file).read_text())["spec"]
    spec = spec.get("jobTemplate", {}).get("spec", spec)
    spec = spec.get("template", {}).get("spec", spec)
    return spec, [*spec.get("initContainers", []), *spec["containers"]]


def as_run(
    engine: Engine, image: str, container: dict[str, Any], volumes: dict[str, Path], w: World
) -> list[str]:
    """The words after `run` that do what the manifest says."""
    safe = container["securityContext"]
    assert safe["readOnlyRootFilesystem"] is True
    assert safe["allowPrivilegeEscalation"] is False
    assert safe["capabilities"] == {"drop": ["ALL"]}
    words = [*engine.options(), *environment(w)]
    for mount in container["volumeMounts"]:
        mode = "ro" if mount.get("readOnly") else "rw"
        words += ["--volume", f"{volumes[mount['name']]}:{mount['mountPath']}:{mode}"]
    for each in container.get("env", []):
        if "value" in each:
            words += ["--env", f"{each['name']}={each['value']}"]
    command = container.get("command")
    if command:
        words += ["--entrypoint", command[0]]
    return [*words, image, *(command or [])[1:], *container.get("args", [])]


def secret(w: World, engine: Engine) -> Path:
    """The login as kubectl mounts it: flat, links to what may be exchanged, read-only."""
    path = w.home / "secret"
    (path / "..data").mkdir(parents=True)
    config = w.config.read_text()
    for file in (w.key_file, w.token_file):
        config = config.replace(str(file), f"/oracle/.oci/{file.name}")
        (path / "..data" / file.name).write_bytes(file.read_bytes())
    (path / "..data" / "config").write_text(config)
    for each in (path / "..data").iterdir():
        (path / each.name).symlink_to(Path("..data") / each.name)
    engine.own(w.home)
    return path


def test_a_pods_secret_is_copied_and_kept_alive(slow: World, engine: Engine, image: str) -> None:
    volumes = {"login": secret(slow, engine), "oci": slow.home / "memory"}
    volumes["oci"].mkdir()
    engine.own(volumes["oci"])
    _, (copy, keeper, program) = containers("sidecar.yaml")
    engine.must("run", "--rm", *as_run(engine, image, copy, volumes, slow))
    first = (volumes["oci"] / "token").read_text()
    name = engine.name()
    engine.must("run", "--detach", "--name", name, *as_run(engine, image, keeper, volumes, slow))
    wait_for(lambda: (volumes["oci"] / "token").read_text() != first)
    probe = keeper["startupProbe"]["exec"]["command"]
    assert engine.call("exec", name, *probe).returncode == 0
    # The pod's sandbox is made anew: a renewed token stays.
    engine.must("stop", "--time", "60", name)
    renewed = (volumes["oci"] / "token").read_text()
    engine.must("run", "--rm", *as_run(engine, image, copy, volumes, slow))
    assert (volumes["oci"] / "token").read_text() == renewed
    assert program["volumeMounts"] == [
        {"name": "oci", "mountPath": "/oracle/.oci", "readOnly": True}
    ]


def test_a_cronjobs_pod_makes_the_nights_backup(quick: World, engine: Engine, image: str) -> None:
    (quick.home / "backup").mkdir()
    file = quick.file(3 * MIB, "backup/db.tar")
    moment = 1_764_170_000  # 2025-11-27 00:13 in Tokyo, the day before in UTC
    os.utime(file, (moment, moment))
    mounted(quick, engine)
    volumes = {
        "scripts": ROOT / "deploy" / "backup",
        "backup": quick.home / "backup",
        "oci": quick.home / "oci",
        "state": quick.home / "state",
    }
    volumes["state"].mkdir()
    engine.own(volumes["state"])
    _, (container,) = containers("backup-cronjob.yaml")
    done = engine.call("run", "--rm", *as_run(engine, image, container, volumes, quick))
    assert done.returncode == 0, done.stderr
    assert quick.oci.object_names("backups") == ["db-2025-11-27.tar"]
    assert (
        "+09:00 backups/db-2025-11-27.tar: RESULT done"
        in (volumes["state"] / "backup.log").read_text()
    )
    assert (volumes["state"] / "receipts" / "db-2025-11-27.tar.json").exists()


# compose


def test_the_services_of_the_compose_file(
    slow: World, engine: Engine, image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ROOT / "deploy" / "compose" / "backup.yaml"
    services = yaml.safe_load(given.read_text())["services"]
    for service in services.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
    (slow.home / "backup").mkdir()
    file = slow.file(3 * MIB, "backup/db.tar")
    mounted(slow, engine)
    (slow.home / ".oci").symlink_to("oci")
    (slow.home / "state").mkdir()
    engine.own(slow.home / "state")
    # Another file beside it says what is ours: the image, and the line to the emulator.
    over = {
        name: {
            "image": image,
            "network_mode": "host",
            "environment": {
                "OCI_CLI_ENDPOINT": slow.oci.endpoint,
                "OCIHAUL_AUTH_ENDPOINT": slow.oci.endpoint,
            },
        }
        for name in services
    }
    beside = slow.home / "over.yaml"
    beside.write_text(yaml.safe_dump({"services": over}))
    monkeypatch.setenv("HOME", str(slow.home))
    monkeypatch.setenv("UID", str(engine.user))
    monkeypatch.setenv("GID", str(engine.user))
    monkeypatch.setenv("BACKUP_DIRECTORY", str(slow.home / "backup"))
    monkeypatch.setenv("STATE_DIRECTORY", str(slow.home / "state"))
    compose = [*engine.compose(), "-p", engine.name(), "-f", str(given), "-f", str(beside)]
    day = time.strftime("%Y-%m-%d", time.gmtime(file.stat().st_mtime + 9 * 3600))
    try:
        subprocess.run([*compose, "up", "-d", "--no-build", "keeper"], check=True, timeout=READY)
        wait_for(lambda: slow.refreshes() >= 1)
        subprocess.run(
            [*compose, "--profile", "backup", "run", "--rm", "-T", "backup"],
            check=True,
            timeout=READY,
        )
        assert slow.oci.object_names("backups") == [f"db-{day}.tar"]
        assert "RESULT done" in (slow.home / "state" / "backup.log").read_text()
    finally:
        subprocess.run([*compose, "down", "-t", "30"], check=True, timeout=READY)


# The other targets


def test_the_emulators_image_is_a_service_to_test_against(
    quick: World, engine: Engine, emulator_image: str
) -> None:
    login = quick.home / "login"
    login.mkdir()
    engine.own(login)
    name = engine.name()
    tmpfs = ["--tmpfs", "/tmp:mode=1777"]  # noqa: S108  the container's
    given = [*engine.options(health=True), *tmpfs, "--volume", f"{login}:/oracle/.oci"]
    given += ["--detach", "--name", name, "--entrypoint", "ocihaul"]
    # Another port than 8080, which may be taken where tests run.
    args = ["emulator", "--profile-dir", "/oracle/.oci", "--ready-file", "/oracle/.oci/ready"]
    engine.must("run", *given, emulator_image, *args)
    wait_for((login / "ready").exists)
    endpoint = json.loads((login / "ready").read_text())["endpoint"]
    config = (login / "config").read_text().replace("/oracle/.oci", str(login))
    (login / "config").write_text(config)
    file = quick.file(5 * MIB)
    ran = quick.run(
        *quick.put(file),
        OCI_CLI_CONFIG_FILE=str(login / "config"),
        OCI_CLI_ENDPOINT=endpoint,
        OCIHAUL_AUTH_ENDPOINT=endpoint,
    )
    assert ran.code == 0, ran.err
    facts = image_facts(engine, emulator_image)
    assert facts["Entrypoint"][:4] == ["ocihaul", "emulator", "--host", "0.0.0.0"]  # noqa: S104
    engine.must("stop", "--time", "60", name)


@pytest.mark.skipif(
    not os.environ.get("OCIHAUL_TEST_OFFICIAL_IMAGE"),
    reason="two minutes and a gigabyte: set OCIHAUL_TEST_OFFICIAL_IMAGE=1 to build it",
)
def test_the_official_tools_are_in_their_image(quick: World, engine: Engine) -> None:
    image = engine.build("official")
    done = engine.call("run", *run(quick, engine, image, "os", "ns", "get"))
    assert json.loads(done.stdout) == {"data": "ns1"}, done.stderr
    # One that only the official CLI has, on our session.
    done = engine.call("run", *run(quick, engine, image, "compute", "instance", "list", "--help"))
    assert "Usage: " in done.stdout, done.stderr
    words = ["--rm", "--entrypoint", "oci", *engine.options(), image, "--version"]
    assert engine.must("run", *words).strip()


# The operator's tutorial, containers included


def test_the_operators_page_can_be_followed_with_a_container(
    place: Path, engine: Engine, image: str
) -> None:
    """`docker` is the engine that is here, with what it needs here; the image is built already."""
    run = " ".join([*engine.command, "run", *engine.limits, *engine.namespace, "--no-healthcheck"])
    docker = f"""
[ "$1" = build ] && exit 0
shift
for word; do
    shift
    [ "$word" = ocihaul ] && word={image}
    set -- "$@" "$word"
done
exec {run} "$@"
"""
    tried = try_page(DOCS / "tutorials" / "operator.md", place, having={"docker": docker})
    assert "db-container-" in tried.output
