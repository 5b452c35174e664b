"""`uploads rule`: the lifecycle rule that lets the service drop unfinished uploads by itself.

Shape: ObjectLifecycleRule in https://docs.oracle.com/iaas/api/#/en/objectstorage/; for unfinished
uploads the target is `multipart-uploads`, and its only action is ABORT.
"""

from typing import Any

import click

from ocihaul.cli.global_options import global_options
from ocihaul.cli.invocation import Invocation, namespace_option, settle


@click.command("rule")
@click.option("-bn", "--bucket-name", help="The bucket, for the commands that are shown.")
@namespace_option
@click.option("--days", type=click.IntRange(1, 36500), default=7, help="After so many days. [7]")
@global_options(hidden=True)
@click.pass_context
def rule(context: click.Context, /, **options: Any) -> None:
    """Print the lifecycle rule that drops unfinished uploads after some days.

    stdout gets the JSON for `oci os object-lifecycle-policy put --items`, stderr how it is used.
    """
    invocation = settle(context, options, command=("uploads", "rule"))
    days = invocation.options["days"]
    item = {
        "name": f"abort-unfinished-uploads-after-{days}-days",
        "action": "ABORT",
        "target": "multipart-uploads",
        "timeAmount": days,
        "timeUnit": "DAYS",
        "isEnabled": True,
    }
    invocation.answer([item])
    invocation.tell(*_how_to_use(invocation))


def _how_to_use(invocation: Invocation) -> list[str]:
    namespace = invocation.options["namespace"]
    bucket = invocation.options["bucket_name"] or "BUCKET"
    where = f"-ns {namespace} -bn {bucket}" if namespace else f"-bn {bucket}"
    service = f"objectstorage-{_region(invocation)}"
    return [
        "Write it to rule.json, and let the service have it:",
        f"  oci os object-lifecycle-policy put {where} --items file://rule.json",
        "That replaces all rules of the bucket. If it has some, add this one to them:",
        f"  oci os object-lifecycle-policy get {where}",
        "The service needs to be allowed to do it, by a policy of the tenancy:",
        f"  Allow service {service} to manage object-family in compartment COMPARTMENT",
    ]


def _region(invocation: Invocation) -> str:
    from ocihaul.errors import OcihaulError

    try:
        return invocation.settings().region or "REGION"
    except OcihaulError:  # the rule is the same everywhere
        return "REGION"
