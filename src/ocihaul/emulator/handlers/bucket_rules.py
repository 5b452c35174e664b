"""Rules on a bucket: lifecycle policy, retention rules, replication policies.

Retention rules hold objects, replication policies copy them (`replication`). Lifecycle rules are
only remembered: no object is deleted or moved by them here.
"""

import time
from collections.abc import Mapping
from email.utils import formatdate
from typing import Any

from ocihaul.emulator.buckets import Bucket, LifecyclePolicy, ReplicationPolicy, RetentionRule
from ocihaul.emulator.call import Call
from ocihaul.emulator.handlers.common import SHORT_PAGE, numbered_page, page_number, page_token
from ocihaul.emulator.objects import check_delete, check_match, check_write
from ocihaul.emulator.responses import Answer, ApiError, json_answer, read_timestamp, timestamp
from ocihaul.emulator.state import Service

_ACTIONS = ("ARCHIVE", "INFREQUENT_ACCESS", "DELETE", "ABORT")
_UNITS = ("DAYS", "YEARS")
_TARGETS = ("objects", "multipart-uploads", "previous-object-versions")
_MAX_RULES = 100
_LOCK_AHEAD = 14 * 86400


# --- lifecycle


def get_lifecycle(service: Service, call: Call) -> Answer:
    """The rules; 404 if there are none."""
    with service.store.lock:
        policy = _lifecycle(service.store.bucket(call.namespace, call.bucket))
    return _lifecycle_answer(policy)


def put_lifecycle(service: Service, call: Call) -> Answer:
    """These rules in place of all that there were."""
    body = call.json()
    items = body.get("items")
    if not isinstance(items, list) or len(items) > 1000:
        raise _bad_lifecycle("The items are not a list of at most 1,000 rules")
    rules = [_lifecycle_rule(each) for each in items]
    if len({rule["name"] for rule in rules}) != len(rules):
        raise _bad_lifecycle("Two rules have the same name")
    with service.store.lock:
        bucket = service.store.bucket(call.namespace, call.bucket)
        check_write(bucket.lifecycle.etag if bucket.lifecycle else None, call.headers)
        bucket.lifecycle = policy = LifecyclePolicy(items=rules, created=service.now())
    return _lifecycle_answer(policy)


def delete_lifecycle(service: Service, call: Call) -> Answer:
    """No rules any more."""
    with service.store.lock:
        bucket = service.store.bucket(call.namespace, call.bucket)
        check_delete(_lifecycle(bucket).etag, call.headers)
        bucket.lifecycle = None
    return Answer(status=204)


def _lifecycle(bucket: Bucket) -> LifecyclePolicy:
    if bucket.lifecycle is None:
        message = f"The lifecycle policy of the bucket '{bucket.name}' was not found"
        raise ApiError(404, "LifecyclePolicyNotFound", message)
    return bucket.lifecycle


def _lifecycle_answer(policy: LifecyclePolicy) -> Answer:
    value = {"timeCreated": timestamp(policy.created), "items": policy.items}
    return json_answer(value, headers={"etag": policy.etag})


def _lifecycle_rule(given: Any) -> dict[str, Any]:
    if not isinstance(given, dict) or not isinstance(given.get("name"), str) or not given["name"]:
        raise _bad_lifecycle("A rule has no name")
    name = given["name"]
    if given.get("action") not in _ACTIONS:
        raise _bad_lifecycle(f"The action of the rule '{name}' is not one of {', '.join(_ACTIONS)}")
    if given.get("timeUnit") not in _UNITS or not isinstance(given.get("timeAmount"), int):
        raise _bad_lifecycle(f"The rule '{name}' has no timeAmount in DAYS or YEARS")
    if not isinstance(given.get("isEnabled"), bool):
        raise _bad_lifecycle(f"The rule '{name}' does not say whether it isEnabled")
    target = given.get("target") or "objects"
    if target not in _TARGETS:
        raise _bad_lifecycle(f"The target of the rule '{name}' is not one of {', '.join(_TARGETS)}")
    return {
        "name": name,
        "action": given["action"],
        "timeAmount": given["timeAmount"],
        "timeUnit": given["timeUnit"],
        "isEnabled": given["isEnabled"],
        "target": target,
        "objectNameFilter": given.get("objectNameFilter"),
    }


def _bad_lifecycle(message: str) -> ApiError:
    return ApiError(400, "InvalidLifecyclePolicy", message)


# --- retention


def create_retention_rule(service: Service, call: Call) -> Answer:
    """A rule, with a name of its own where none is given."""
    body = call.json()
    now = service.now()
    usual = f"RetentionRule{time.strftime('%Y%m%d%H%M%S', time.gmtime(now))}"
    name = body.get("displayName") or usual
    duration = _duration(body.get("duration"))
    locked_at = _lock_time(body.get("timeRuleLocked"), now)
    rule = RetentionRule(
        name=str(name), duration=duration, locked_at=locked_at, created=now, modified=now
    )
    _check_lock(rule)
    with service.store.lock:
        bucket = service.store.bucket(call.namespace, call.bucket)
        if bucket.versioning != "Disabled":
            raise _bad_retention("A bucket with versioning has no retention rules.")
        if len(bucket.retention) >= _MAX_RULES:
            raise _bad_retention(f"A bucket has at most {_MAX_RULES} retention rules.")
        bucket.retention[rule.rule_id] = rule
    return json_answer(_describe_retention(rule), headers={"etag": rule.etag})


def list_retention_rules(service: Service, call: Call) -> Answer:
    """The newest first."""
    start = page_number(call)
    with service.store.lock:
        bucket = service.store.bucket(call.namespace, call.bucket)
        rules = list(reversed(bucket.retention.values()))
    end = start + min(SHORT_PAGE, service.settings.page_limit or SHORT_PAGE)
    more = {"opc-next-page": page_token(str(end))} if end < len(rules) else {}
    return json_answer(
        {"items": [_describe_retention(rule) for rule in rules[start:end]]}, headers=more
    )


def get_retention_rule(service: Service, call: Call) -> Answer:
    """One rule."""
    with service.store.lock:
        rule = _retention(service.store.bucket(call.namespace, call.bucket), call)
    headers = {"etag": rule.etag, "last-modified": formatdate(rule.modified, usegmt=True)}
    return json_answer(_describe_retention(rule), headers=headers)


def update_retention_rule(service: Service, call: Call) -> Answer:
    """Change what the body names; a duration of null holds for ever."""
    body = call.json()
    now = service.now()
    with service.store.lock:
        rule = _retention(service.store.bucket(call.namespace, call.bucket), call)
        check_match(rule.etag, call.headers)
        new = RetentionRule(
            name=str(body.get("displayName") or rule.name),
            duration=_duration(body["duration"]) if "duration" in body else rule.duration,
            locked_at=rule.locked_at,
        )
        if "timeRuleLocked" in body:  # null takes it away
            new.locked_at = _lock_time(body["timeRuleLocked"], now)
        _check_lock(new)
        if _is_locked(rule, now) and new.seconds < rule.seconds:
            raise _bad_retention("A locked retention rule cannot become shorter.")
        rule.name, rule.duration, rule.locked_at = new.name, new.duration, new.locked_at
        rule.etag, rule.modified = new.etag, now
    return json_answer(_describe_retention(rule), headers={"etag": rule.etag})


def delete_retention_rule(service: Service, call: Call) -> Answer:
    """The rule holds nothing any more; 409 for one that is locked."""
    with service.store.lock:
        bucket = service.store.bucket(call.namespace, call.bucket)
        rule = _retention(bucket, call)
        check_delete(rule.etag, call.headers)
        if _is_locked(rule, service.now()):
            raise ApiError(409, "IncorrectState", "The retention rule is locked")
        del bucket.retention[rule.rule_id]
    return Answer(status=204)


def _retention(bucket: Bucket, call: Call) -> RetentionRule:
    rule = bucket.retention.get(call.parameters["rule"])
    if rule is None:
        message = f"The retention rule '{call.parameters['rule']}' was not found"
        raise ApiError(404, "RetentionRuleNotFound", message)
    return rule


def _duration(given: Any) -> tuple[int, str] | None:
    if given is None:
        return None
    amount = given.get("timeAmount") if isinstance(given, dict) else None
    unit = given.get("timeUnit") if isinstance(given, dict) else None
    if not isinstance(amount, int) or amount < 1 or unit not in _UNITS:
        raise _bad_retention("The duration is not a number of DAYS or YEARS.")
    return amount, str(unit)


def _lock_time(given: Any, now: float) -> float | None:
    if given is None:
        return None
    locked_at = read_timestamp(str(given))
    if locked_at is None or locked_at < now + _LOCK_AHEAD:
        raise _bad_retention("timeRuleLocked must be atleast 14 days ahead of the current time.")
    return locked_at


def _check_lock(rule: RetentionRule) -> None:
    if rule.locked_at is not None and rule.duration is None:
        raise _bad_retention(
            "The retention rule cannot have timeRuleLocked unless a duration is present."
        )


def _is_locked(rule: RetentionRule, now: float) -> bool:
    return rule.locked_at is not None and now >= rule.locked_at


def _bad_retention(message: str) -> ApiError:
    return ApiError(400, "InvalidRetentionRuleDetails", message)


def _describe_retention(rule: RetentionRule) -> dict[str, Any]:
    duration = rule.duration
    return {
        "id": rule.rule_id,
        "displayName": rule.name,
        "duration": None
        if duration is None
        else {"timeAmount": duration[0], "timeUnit": duration[1]},
        "etag": rule.etag,
        "timeRuleLocked": None if rule.locked_at is None else timestamp(rule.locked_at),
        "timeCreated": timestamp(rule.created),
        "timeModified": timestamp(rule.modified),
    }


# --- replication


def create_replication_policy(service: Service, call: Call) -> Answer:
    """The one policy that a bucket can have; its destination is told to be read-only.

    Every region is this one: the destination is the bucket of that name here. The service takes its
    own region as the destination, too (recorded). What it answers to a write to the destination is
    not known: none is refused here.
    """
    body = call.json()
    name, region, destination = _replication_fields(body)
    with service.store.lock:
        bucket = service.store.bucket(call.namespace, call.bucket)
        target = service.store.bucket(call.namespace, destination)
        if bucket.replication:
            message = (
                f"Replication policy exists for bucket '{bucket.name}' in namespace "
                f"'{call.namespace}'."
            )
            raise ApiError(409, "ReplicationPolicyConflict", message)
        policy = ReplicationPolicy(
            name=name, region=region, destination=destination, created=int(service.now())
        )
        bucket.replication[policy.policy_id] = policy
        target.read_only = True
    return json_answer(_describe_replication(policy))


def list_replication_policies(service: Service, call: Call) -> Answer:
    """At most one."""
    with service.store.lock:
        bucket = service.store.bucket(call.namespace, call.bucket)
        values = [_describe_replication(each) for each in bucket.replication.values()]
    return numbered_page(service, call, values, usual=SHORT_PAGE)


def get_replication_policy(service: Service, call: Call) -> Answer:
    """One policy."""
    with service.store.lock:
        bucket = service.store.bucket(call.namespace, call.bucket)
        return json_answer(_describe_replication(_replication(bucket, call)))


def delete_replication_policy(service: Service, call: Call) -> Answer:
    """The destination becomes a bucket like any other."""
    with service.store.lock:
        bucket = service.store.bucket(call.namespace, call.bucket)
        policy = _replication(bucket, call)
        del bucket.replication[policy.policy_id]
        for other in service.store.buckets():
            if other.name == policy.destination:
                other.read_only = False
    return Answer(status=204)


def list_replication_sources(service: Service, call: Call) -> Answer:
    """Which buckets are replicated to this one."""
    with service.store.lock:
        bucket = service.store.bucket(call.namespace, call.bucket)
        values = [
            {
                "policyName": policy.name,
                "sourceRegionName": policy.region,
                "sourceBucketName": source.name,
            }
            for source in service.store.buckets()
            for policy in source.replication.values()
            if policy.destination == bucket.name
        ]
    return numbered_page(service, call, values, usual=SHORT_PAGE)


def _replication_fields(body: Mapping[str, Any]) -> tuple[str, str, str]:
    values = []
    for key in ("name", "destinationRegionName", "destinationBucketName"):
        if not isinstance(body.get(key), str) or not body[key]:
            raise ApiError(400, "MissingParameter", f"The {key} is missing")
        values.append(str(body[key]))
    name, region, destination = values
    return name, region, destination


def _replication(bucket: Bucket, call: Call) -> ReplicationPolicy:
    policy = bucket.replication.get(call.parameters["policy"])
    if policy is None:
        message = f"The replication policy '{call.parameters['policy']}' was not found"
        raise ApiError(404, "ReplicationPolicyNotFound", message)
    return policy


def _describe_replication(policy: ReplicationPolicy) -> dict[str, Any]:
    return {
        "id": policy.policy_id,
        "name": policy.name,
        "destinationRegionName": policy.region,
        "destinationBucketName": policy.destination,
        "timeCreated": timestamp(policy.created),
        "timeLastSync": None if policy.last_sync is None else timestamp(policy.last_sync),
        "status": "ACTIVE",
        "statusMessage": "The policy is active.",
    }
