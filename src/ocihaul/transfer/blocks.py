"""The steps in which bytes are moved, and how one ends that nobody needs any more."""

#: Read, hash and send in steps of this many bytes. Larger steps cost memory per thread, smaller
#: ones system calls.
BLOCK = 512 * 1024


class AbandonedError(Exception):
    """Another part has failed for good: this one need not be sent to its end."""
