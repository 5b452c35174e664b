"""What the figures were measured on: processor, memory, versions; nothing that names it."""

import os
import platform
import ssl
import subprocess
from pathlib import Path

from bench.ground import GIB
from bench.peers import Programs


def describe(programs: Programs) -> dict[str, str]:
    """Words for the head of the tables."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    told = {
        "processor": f"{os.cpu_count()} x {_processor()}",
        "memory": f"{memory:.0f} GiB",
        "system": f"{platform.system()} {platform.release().split('-')[0]}, loopback",
        "Python": platform.python_version(),
        "OpenSSL": ssl.OPENSSL_VERSION.removeprefix("OpenSSL "),
        "ocihaul": _first_line(programs.ocihaul, "--version").removeprefix("ocihaul "),
        "load": f"{os.getloadavg()[0]:.1f} when it began",
    }
    if programs.official is not None:
        told["official CLI"] = _first_line(programs.official, "--version")
    if programs.rclone is not None:
        told["rclone"] = _first_line(programs.rclone, "version").removeprefix("rclone ")
    return told


def installed_bytes(python: Path, package: str) -> int:
    """The sizes of all files that `package` and what it needs have brought into that environment.

    pip itself is not counted; only what is installed is, so no marker has to be understood.
    """
    script = Path(__file__).with_name("installed.py")
    done = subprocess.run(
        [str(python), "-I", str(script), package], stdout=subprocess.PIPE, text=True, check=True
    )
    return int(done.stdout)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _first_line(program: Path, word: str) -> str:
    done = subprocess.run([str(program), word], stdout=subprocess.PIPE, text=True, check=False)
    return (done.stdout.splitlines() or ["?"])[0]
