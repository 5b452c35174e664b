"""The rules of a bucket: `os retention-rule …` and `os object-lifecycle-policy …`."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ocihaul.cli.invocation import Invocation, bucket_options, namespace_option
from ocihaul.cli.objects.query_command import MORE, force_option, question
from ocihaul.cli.options import JsonObject, Moment
from ocihaul.errors import UsageError

if TYPE_CHECKING:
    from ocihaul.storage.client import StorageClient


Decorated = TypeVar("Decorated", bound=Callable[..., Any])
_RETENTION_RULE = ("os", "retention-rule")
_UNITS = click.Choice(["DAYS", "YEARS"], case_sensitive=False)
_NAMED = ("bucket_name", "retention_rule_id")
_rule_option = click.option("--retention-rule-id", help="The id of the rule. [required]")
_display_option = click.option("--display-name", help="A name for the rule.")
_unit_option = click.option("--time-unit", type=_UNITS, help="The unit of --time-amount.")


def _bucket_options(decorated: Decorated) -> Decorated:
    names = ("-bn", "--bucket-name", "--bucket")
    add = click.option(*names, "bucket_name", help="The bucket. [required]")
    return namespace_option(add(decorated))


@question(*_RETENTION_RULE, "create", required=("bucket_name",))
@_bucket_options
@_display_option
@click.option(
    "--time-amount", type=int, help="How long an object is kept after it was changed. [for good]"
)
@_unit_option
@click.option(
    "--time-rule-locked",
    type=Moment(),
    help="From when on the rule can only be made longer: at least 14 days ahead.",
)
def rule_create(invocation: Invocation, storage: "StorageClient", namespace: str) -> object:
    """Make a rule that keeps the objects of a bucket from being changed or deleted."""
    from ocihaul.cli.objects.official_json import described, retention_rule
    from ocihaul.storage.calls import without_none

    options = invocation.options
    amount = options["time_amount"]
    details = without_none(
        {
            "displayName": options["display_name"],
            "duration": None if amount is None else _duration(amount, options),
            "timeRuleLocked": options["time_rule_locked"],
        }
    )
    made = storage.create_retention_rule(namespace, options["bucket_name"], details)
    return described(retention_rule(made.document), made.headers)


@question(*_RETENTION_RULE, "get", required=_NAMED)
@_bucket_options
@_rule_option
def rule_get(invocation: Invocation, storage: "StorageClient", namespace: str) -> object:
    """Show a rule."""
    from ocihaul.cli.objects.official_json import described, retention_rule

    options = invocation.options
    found = storage.get_retention_rule(
        namespace, options["bucket_name"], options["retention_rule_id"]
    )
    return described(retention_rule(found.document), found.headers)


@question(*_RETENTION_RULE, "list", required=("bucket_name",))
@_bucket_options
@click.option("--page", help="Where to go on: opc-next-page of an earlier answer.")
@click.option("--all", "all_pages", is_flag=True, help="All there are.")
def list_rules(invocation: Invocation, storage: "StorageClient", namespace: str) -> object:
    """List the rules of a bucket."""
    from ocihaul.cli.objects.official_json import retention_rule
    from ocihaul.storage.calls import Extent

    options = invocation.options
    extent = Extent(page=options["page"], single=not options["all_pages"])
    rules = storage.list_retention_rules(namespace, options["bucket_name"], extent=extent)
    # As the official CLI: the list stands in `items`.
    answer: dict[str, Any] = {"data": {"items": [retention_rule(each) for each in rules]}}
    if rules.following is not None:
        invocation.tell(MORE)
        answer["opc-next-page"] = rules.following
    return answer


@question(*_RETENTION_RULE, "update", required=_NAMED)
@_bucket_options
@_rule_option
@_display_option
@click.option("--if-match", help="Only if the rule has this etag.")
@click.option(
    "--time-amount",
    help="How long an object is kept after it was changed; an empty text: for good.",
)
@_unit_option
@click.option(
    "--time-rule-locked",
    help="From when on the rule can only be made longer; an empty text: never.",
)
def rule_update(invocation: Invocation, storage: "StorageClient", namespace: str) -> object:
    """Change a rule."""
    from ocihaul.cli.objects.official_json import described, retention_rule

    options = invocation.options
    details: dict[str, object] = {}
    if options["display_name"] is not None:
        details["displayName"] = options["display_name"]
    if options["time_amount"] is not None:
        details["duration"] = _changed_duration(options)
    locked = options["time_rule_locked"]
    if locked is not None:
        details["timeRuleLocked"] = Moment().convert(locked, None, None) if locked else None
    made = storage.update_retention_rule(
        namespace,
        options["bucket_name"],
        options["retention_rule_id"],
        details,
        if_match=options["if_match"],
    )
    return described(retention_rule(made.document), made.headers)


@question(
    *(*_RETENTION_RULE, "delete"),
    required=_NAMED,
    confirm=lambda _: "Are you sure you want to delete this resource? [y/N]:",
)
@_bucket_options
@_rule_option
@click.option("--if-match", help="Only if the rule has this etag.")
@force_option
def rule_delete(invocation: Invocation, storage: "StorageClient", namespace: str) -> object:
    """Remove a rule that is not locked."""
    options = invocation.options
    storage.delete_retention_rule(
        namespace,
        options["bucket_name"],
        options["retention_rule_id"],
        if_match=options["if_match"],
    )
    return None


def _changed_duration(options: Mapping[str, Any]) -> dict[str, object] | None:
    text = str(options["time_amount"])
    if not text:
        return None
    try:
        return _duration(int(text), options)
    except ValueError:
        raise UsageError(f"--time-amount: {text!r} is not a valid integer") from None


def _duration(amount: int, options: Mapping[str, Any]) -> dict[str, object]:
    if options["time_unit"] is None:
        raise UsageError("Parameter --time-unit is required when --time-amount is specified")
    return {"timeAmount": amount, "timeUnit": options["time_unit"].upper()}


_LIFECYCLE_POLICY = ("os", "object-lifecycle-policy")


@question(*_LIFECYCLE_POLICY, "get", required=("bucket_name",))
@bucket_options
def policy_get(invocation: Invocation, storage: "StorageClient", namespace: str) -> object:
    """Show the lifecycle policy of a bucket."""
    from ocihaul.cli.objects.official_json import described, lifecycle_policy

    found = storage.get_object_lifecycle_policy(namespace, invocation.options["bucket_name"])
    return described(lifecycle_policy(found.document), found.headers)


@question(
    *(*_LIFECYCLE_POLICY, "put"),
    required=("bucket_name",),
    confirm=lambda invocation: (
        "WARNING: Updates to items will replace any existing values. Are you sure you want to "
        "continue? [y/N]:"
        if invocation.options["items"]
        else None
    ),
)
@bucket_options
@click.option("--items", type=JsonObject(), help="The rules: a JSON list, or file://path.")
@click.option("--if-match", help="Only if the policy has this etag.")
@click.option("--if-none-match", help="*: only if there is no policy.")
@force_option
def policy_put(invocation: Invocation, storage: "StorageClient", namespace: str) -> object:
    """Replace the lifecycle policy of a bucket."""
    from ocihaul.cli.objects.official_json import described, lifecycle_policy
    from ocihaul.cli.options import json_list

    options = invocation.options
    items = options["items"]
    if isinstance(items, str):
        items = json_list(items, what="--items", home=invocation.home)
    conditions = {"if-match": options["if_match"], "if-none-match": options["if_none_match"]}
    made = storage.put_object_lifecycle_policy(
        namespace,
        options["bucket_name"],
        {} if items is None else {"items": items},
        {name: value for name, value in conditions.items() if value is not None},
    )
    return described(lifecycle_policy(made.document), made.headers)


@question(
    *(*_LIFECYCLE_POLICY, "delete"),
    required=("bucket_name",),
    confirm=lambda _: "Are you sure you want to delete this resource? [y/N]:",
)
@bucket_options
@click.option("--if-match", help="Only if the policy has this etag.")
@force_option
def policy_delete(invocation: Invocation, storage: "StorageClient", namespace: str) -> object:
    """Remove the lifecycle policy of a bucket."""
    options = invocation.options
    storage.delete_object_lifecycle_policy(
        namespace, options["bucket_name"], if_match=options["if_match"]
    )
    return None
