"""Several arguments of one command: what goes wrong with one of them does not stop the others."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from ocihaul.cli.error_text import failure_lines
from ocihaul.cli.invocation import Invocation
from ocihaul.cli.process import chain, code_of_one, exit_code, is_of_one, worst
from ocihaul.cli.shell.uri import ObjectUri
from ocihaul.errors import OcihaulError, ServiceError

#: Parameters, as hints name them, by what an address has for them.
_IN_ADDRESS = {
    "`bucket`": "the bucket",
    "`namespace`": "the namespace",
    "another `name`": "a name at the end of the target",
    "`name`": "the object's name",
}
#: The same in the texts of `os object put` and `get`.
_FLAG = "--file: "
_PIPE, _OWN_PIPE = "ocihaul os object put --file - …", "ocihaul cp - …"
_NOT_FOUND = "Check the bucket and the namespace in the address, and `region`."


def in_address_words(error: BaseException) -> None:
    """Let an error speak of addresses and paths: these commands have no flags for names."""
    for link in chain(error):
        if not isinstance(link, OcihaulError):
            continue
        hint = link.hint or ""
        if not hint and isinstance(link, ServiceError) and link.status == 404:
            hint = _NOT_FOUND
        for parameter, words in _IN_ADDRESS.items():
            hint = hint.replace(parameter, words)
        hint = hint.replace(_PIPE, _OWN_PIPE)
        link.message = link.message.removeprefix(_FLAG)
        link.hint = hint.split("\n") if hint else None


def run_command(invocation: Invocation, run: Callable[[Invocation], int]) -> int:
    """Run one of these commands; its errors are in the words of addresses."""
    try:
        return run(replace(invocation, reword=in_address_words))
    except OcihaulError as error:
        in_address_words(error)
        raise


def for_each(
    invocation: Invocation, uris: Iterable[ObjectUri], work: Callable[[ObjectUri], int]
) -> int:
    """Do `work` for each address; returns the worst exit status.

    An error of a single address is raised; of several, the errors that are about one are said, and
    the others are gone on with.
    """
    every = list(uris)
    if len(every) == 1:
        return work(every[0])
    codes = []
    for uri in every:
        try:
            codes.append(work(uri))
        except OcihaulError as error:
            if not is_of_one(error, one_bucket=len({(u.namespace, u.bucket) for u in every}) == 1):
                raise
            in_address_words(error)
            invocation.tell(*failure_lines(str(uri), error))
            codes.append(code_of_one(exit_code(error)))
    return worst(codes)
