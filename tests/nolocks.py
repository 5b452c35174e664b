"""A file system without locks: a library for LD_PRELOAD, as SQLite locks from C.

Every lock that is asked for on a file below one directory fails with one error, and is counted.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

_SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static int refused(int fd, const char *call) {
    const char *below = getenv("NOLOCKS_BELOW"), *log = getenv("NOLOCKS_LOG");
    char link[64], path[4096];
    if (!below || !log) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    if (strncmp(path, below, strlen(below))) return 0;
    FILE *file = fopen(log, "a");
    if (file) { fprintf(file, "%s %s\n", call, path); fclose(file); }
    errno = atoi(getenv("NOLOCKS_ERRNO"));
    return 1;
}

int flock(int fd, int operation) {
    int (*real)(int, int) = dlsym(RTLD_NEXT, "flock");
    if (!(operation & LOCK_UN) && refused(fd, "flock")) return -1;
    return real(fd, operation);
}

static int control(const char *name, int fd, int command, void *argument) {
    int (*real)(int, int, ...) = dlsym(RTLD_NEXT, name);
    int locks = command == F_SETLK || command == F_SETLKW
        || command == F_OFD_SETLK || command == F_OFD_SETLKW;
    if (locks && ((struct flock *)argument)->l_type != F_UNLCK && refused(fd, "fcntl")) return -1;
    return real(fd, command, argument);
}

int fcntl(int fd, int command, ...) {
    va_list list;
    va_start(list, command);
    void *argument = va_arg(list, void *);
    va_end(list);
    return control("fcntl", fd, command, argument);
}

int fcntl64(int fd, int command, ...) {
    va_list list;
    va_start(list, command);
    void *argument = va_arg(list, void *);
    va_end(list);
    return control("fcntl64", fd, command, argument);
}
"""


class NoLocks:
    """The environment of a process to which `below` is such a file system."""

    def __init__(self, directory: Path, below: Path, error: int) -> None:
        compiler = shutil.which("gcc")
        if compiler is None or not Path("/proc/self/fd").exists():
            pytest.skip("needs gcc and /proc")
        directory.mkdir()
        source, library = directory / "nolocks.c", directory / "nolocks.so"
        source.write_text(_SOURCE)
        subprocess.run(
            [compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"],
            check=True,
            capture_output=True,
        )
        self._log = directory / "asked"
        self.environ = {
            "LD_PRELOAD": str(library),
            "NOLOCKS_BELOW": str(below),
            "NOLOCKS_LOG": str(self._log),
            "NOLOCKS_ERRNO": str(error),
        }

    def asked(self) -> list[str]:
        """The locks that were asked for and refused since the last look: call and path."""
        try:
            lines = self._log.read_text().splitlines()
        except FileNotFoundError:
            return []
        self._log.unlink()
        return lines
