"""Replication: what changes in a bucket with a policy changes in its destination a little later.

Nothing runs by itself: what is due is done when the next request comes. Facts:
https://docs.oracle.com/en-us/iaas/Content/Object/Tasks/usingreplication.htm
"""

import dataclasses

from ocihaul.emulator.buckets import Bucket, ReplicationPolicy, Store
from ocihaul.emulator.objects import next_sequence
from ocihaul.emulator.responses import ApiError


def replicate(store: Store, now: float, delay: float) -> None:
    """Do what is due: what was changed `delay` seconds before `now`, or earlier."""
    with store.lock:
        for source in store.buckets():
            for policy in source.replication.values():
                _replicate(store, source, policy, now, delay)


def _replicate(
    store: Store, source: Bucket, policy: ReplicationPolicy, now: float, delay: float
) -> None:
    due = [name for name, changed in policy.pending.items() if changed + delay <= now]
    if not due:
        return
    try:
        target = store.bucket(store.namespace, policy.destination)
    except ApiError:  # deleted since: the changes wait for a bucket of that name
        return
    for name in due:
        del policy.pending[name]
        _bring(source, target, name, now)
    policy.last_sync = int(now)


def _bring(source: Bucket, target: Bucket, name: str, now: float) -> None:
    """Make `name` in the target what it is in the source: the same bytes and etag, or nothing."""
    stored = source.objects.get(name)
    if stored is not None:
        copy = dataclasses.replace(
            stored,
            blob=stored.blob.share(),
            created=now,
            modified=now,
            restored_at=None,
            archived_again_at=None,
            sequence=next(next_sequence),
        )
        target.put(copy)
    elif name in target.objects:
        target.delete(name)
