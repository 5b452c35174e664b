"""A container engine as the tests use it: podman or docker, its images and its containers.

The base image comes from a registry, or is named by OCIHAUL_TEST_BASE. Where no registry can be
reached, root can have a stand-in made of Debian's packages (debootstrap); it takes a minute, once.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import uuid
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
REGISTRY_BASE = "docker.io/library/python:3.13-slim"
STAND_IN = "localhost/ocihaul-test-base:latest"
PIP_CONFIG = Path("/etc/pip.conf")
CERTIFICATES = Path("/etc/ssl/certs")
READY = 60  # seconds to wait for what takes one


class EngineMissingError(Exception):
    """There is no engine here, or nothing to build upon; the text says why."""


def find_engine() -> "Engine":
    """podman, or a docker whose daemon answers."""
    if podman := shutil.which("podman"):
        runtime = ["--runtime", "runc"] if shutil.which("runc") else []
        return Engine([podman, *runtime], podman=True)
    if docker := shutil.which("docker"):
        if subprocess.run([docker, "info"], capture_output=True, check=False).returncode == 0:
            return Engine([docker], podman=False)
        raise EngineMissingError("docker is here, and its daemon does not answer")
    raise EngineMissingError("there is neither podman nor docker here")


@dataclass
class Engine:
    """One engine. Containers are named, so that those of these tests alone are ended."""

    command: list[str]
    podman: bool
    containers: list[str] = field(default_factory=list)

    def call(self, *args: str, timeout: float = 300) -> "subprocess.CompletedProcess[str]":
        """Run the engine's command."""
        return subprocess.run(
            [*self.command, *args],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )

    def must(self, *args: str, timeout: float = 300) -> str:
        """Run it, and raise where it fails; its stdout."""
        done = self.call(*args, timeout=timeout)
        if done.returncode:
            raise RuntimeError(f"{args[0]}: exit {done.returncode}: {done.stderr[-3000:]}")
        return done.stdout

    # Building

    @cached_property
    def base(self) -> str:
        """An image with Python to build upon."""
        if given := os.environ.get("OCIHAUL_TEST_BASE"):
            return given
        if self.call("image", "inspect", STAND_IN).returncode == 0:
            return STAND_IN
        if self.call("pull", "--quiet", REGISTRY_BASE).returncode == 0:
            return REGISTRY_BASE
        self._make_stand_in()
        return STAND_IN

    def _make_stand_in(self) -> None:
        debootstrap = shutil.which("debootstrap")
        if not (self.podman and debootstrap and os.geteuid() == 0):
            raise EngineMissingError(
                f"{REGISTRY_BASE} cannot be pulled; a stand-in needs podman, debootstrap, root"
            )
        release = Path("/etc/os-release").read_text(encoding="utf-8")
        codename = re.search(r"^VERSION_CODENAME=(\w+)$", release, re.MULTILINE)
        sites = subprocess.run(
            ["apt-get", "indextargets", "--format", "$(SITE) $(CODENAME)"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split("\n")
        if codename is None:
            raise EngineMissingError("/etc/os-release names no release of Debian")
        mirror = next((line.split()[0] for line in sites if line.endswith(f" {codename[1]}")), None)
        if mirror is None:
            raise EngineMissingError(f"apt knows no mirror of {codename[1]}")
        with tempfile.TemporaryDirectory(prefix="ocihaul-base-") as name:
            subprocess.run(
                [
                    *(debootstrap, "--variant=minbase"),
                    *("--include=ca-certificates,python3,python3-venv,tzdata", codename[1], name),
                    mirror,
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                check=True,
                timeout=600,
            )
            with subprocess.Popen(["tar", "-C", name, "-c", "."], stdout=subprocess.PIPE) as tar:
                subprocess.run(
                    [*self.command, "import", "--quiet", "-", STAND_IN],
                    stdin=tar.stdout,
                    capture_output=True,
                    check=True,
                )

    def build(self, target: str) -> str:
        """Build a target of the Dockerfile; its tag."""
        tag = f"localhost/ocihaul-test-{target}:latest"
        args = ["build", "--build-arg", f"PYTHON_IMAGE={self.base}", "--target", target]
        args += ["--file", "deploy/docker/Dockerfile", "--tag", tag]
        if self.podman:
            # No cgroups are needed so, and the healthcheck goes into the image.
            args += ["--isolation", "chroot", "--network", "host", "--format", "docker"]
            for path in (PIP_CONFIG, CERTIFICATES):
                if path.exists():
                    args += ["--volume", f"{path}:{path}:ro"]
        done = subprocess.run(
            [*self.command, *args, "."],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )
        if done.returncode:
            raise RuntimeError(f"{target} cannot be built: {(done.stdout + done.stderr)[-3000:]}")
        return tag

    # Running

    @property
    def limits(self) -> list[str]:
        """What `run` needs where not even root may raise its limits."""
        return (
            ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096"] if self.podman else []
        )

    @property
    def namespace(self) -> list[str]:
        """A podman that is not root's: our user inside is our user outside."""
        return ["--userns", "keep-id"] if self.podman and os.geteuid() != 0 else []

    @property
    def user(self) -> int:
        """One without an entry in passwd; ourselves, where files cannot be given away."""
        return 4321 if os.geteuid() == 0 else os.geteuid()

    def options(self, *, read_only: bool = True, health: bool = False) -> list[str]:
        """Those of every container here: our loopback, our user, nothing that can be written."""
        options = ["--network", "host", "--user", f"{self.user}:{self.user}"]
        options += [*self.limits, *self.namespace]
        if read_only:
            options += ["--read-only"]
            options += ["--read-only-tmpfs=false"] if self.podman else []
        if not health:
            options += ["--no-healthcheck"]
        return [*options, "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]

    def name(self) -> str:
        """For a container of these tests."""
        name = f"ocihaul-test-{uuid.uuid4().hex[:12]}"
        self.containers.append(name)
        return name

    def start(self, *args: str) -> "subprocess.Popen[str]":
        """`run` in the foreground, without waiting for it."""
        return subprocess.Popen(
            [*self.command, "run", *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def compose(self) -> list[str]:
        """The command that runs compose files."""
        if not self.podman:
            return [*self.command, "compose"]
        beside = Path(sys.executable).with_name("podman-compose")
        program = str(beside) if beside.exists() else shutil.which("podman-compose")
        if program is None:
            raise EngineMissingError("there is no podman-compose here")
        globally = f"--podman-args={' '.join(self.command[1:])}"
        running = f"--podman-run-args={' '.join([*self.limits, '--no-healthcheck'])}"
        return [program, "--in-pod", "false", globally, running]

    def clean(self) -> None:
        """Remove the containers that are left."""
        for name in self.containers:
            self.call("rm", "--force", name)
        self.containers.clear()

    def own(self, path: Path) -> None:
        """Give a directory to the user of the containers."""
        if os.geteuid() == 0:
            for each in (path, *path.rglob("*")):
                os.chown(each, self.user, self.user, follow_symlinks=False)
