"""`doctor`: why a request would be refused, and what to do about it."""

import os
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from ocihaul.cli.error_text import in_flags
from ocihaul.cli.global_options import Given, global_options
from ocihaul.cli.process import DONE, FAILED
from ocihaul.cli.session import (
    chosen_profiles,
    session_settings,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocihaul.config import Settings
    from ocihaul.session.diagnostics.checks import Facts, Finding
    from ocihaul.session.diagnostics.probe import ProbeResult
    from ocihaul.session.diagnostics.snapshot import Snapshot

COMMAND = ("doctor",)
#: The cheapest call that needs a valid token: GetNamespace.
_CALL = "/n"
_PATIENCE = 10.0
_MARKS = {"ok": "ok     ", "problem": "PROBLEM", "unknown": "?      "}


@click.command("doctor")
@click.option("--offline", is_flag=True, help="Look at the files only; ask no service.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@global_options(hidden=True)
@click.pass_context
def doctor(context: click.Context, /, *, offline: bool, as_json: bool) -> None:
    """Find out why requests are refused (401), and how to mend it.

    Looks at the configuration, the files of the session and the clocks; asks both services for
    their time without signing, and one for the namespace as any command does. Nothing else is
    sent, and nothing is changed. The exit status is 0 when all is well, 1 otherwise.
    """
    from ocihaul.session.diagnostics.checks import findings, is_well

    given = context.ensure_object(Given)
    (profile,) = chosen_profiles(given, ())
    facts = _gather(given, profile, offline=offline)
    found = [
        replace(each, what=in_flags(each.what), cure=in_flags(each.cure))
        for each in findings(facts)
    ]
    well = is_well(found)
    if as_json or given.values.get("output") == "json":
        _print_json(profile, found, well=well)
    else:
        _print_text(profile, found, well=well)
    raise click.exceptions.Exit(DONE if well else FAILED)


def _gather(given: Given, profile: str, *, offline: bool) -> "Facts":
    from ocihaul.cli.process import environment_and_home
    from ocihaul.config.sources import find_rc_file
    from ocihaul.errors import OcihaulError
    from ocihaul.session.diagnostics.checks import Facts
    from ocihaul.session.diagnostics.probe import proxies_of
    from ocihaul.session.diagnostics.snapshot import take_snapshot

    try:
        settings = session_settings(given, profile, command=COMMAND)
        seen = take_snapshot(settings)
    except OcihaulError as error:
        return Facts(time.time(), profile, config_error=error)
    environ, home = environment_and_home()
    endpoints = _endpoints(settings)
    replies, signed = None, None
    if not offline:
        replies, signed = _ask(settings, endpoints, seen)
    return Facts(
        now=time.time(),
        profile=profile,
        seen=seen,
        region=settings.resolved_region,
        rc_notice=find_rc_file(given.flags().cli_rc_file, environ=environ, home=home)[1],
        replies=replies,
        signed=signed,
        proxies=proxies_of(endpoints, explicit=settings.proxy, environ=os.environ),
        cert_bundle=str(settings.cert_bundle) if settings.cert_bundle else None,
    )


def _endpoints(settings: "Settings") -> dict[str, str]:
    """The services that a transfer needs: the one that stores, the one that refreshes."""
    endpoints = {}
    if settings.endpoint or settings.resolved_region:
        endpoints["Object Storage"] = settings.object_storage_endpoint(None)
    if settings.auth_endpoint:
        endpoints["auth"] = settings.auth_endpoint
    return endpoints


def _ask(
    settings: "Settings", endpoints: "Mapping[str, str]", seen: "Snapshot"
) -> "tuple[dict[str, ProbeResult], ProbeResult | None]":
    from ocihaul.errors import CredentialError
    from ocihaul.session.diagnostics.probe import probe_clock, probe_signed
    from ocihaul.session.session import dialer_for, store_for

    dialer = dialer_for(settings)
    timeout = min(settings.read_timeout, _PATIENCE)
    replies = {name: probe_clock(dialer, url, timeout=timeout) for name, url in endpoints.items()}
    storage = replies.get("Object Storage")
    # Never with a pair that does not match, and not where nobody answers anyway.
    if not seen.key_matches or storage is None or storage.error is not None:
        return replies, None
    try:
        pair = store_for(settings).read()
    except CredentialError:
        return replies, None
    url = endpoints["Object Storage"]
    signed = probe_signed(dialer, url, _CALL, token=pair.token, key=pair.key, timeout=timeout)
    return replies, signed


def _print_text(profile: str, found: "list[Finding]", *, well: bool) -> None:
    from ocihaul.printing import say

    for each in found:
        lines = [f"{_MARKS[each.status.value]}  {each.topic}: {each.what}"]
        lines += [f"{'':9}why:  {each.why}"] if each.why else []
        lines += [f"{'':9}mend: {each.cure}"] if each.cure else []
        say(sys.stdout, *lines)
    problems = sum(each.status.value == "problem" for each in found)
    summary = "all is well" if well else f"{problems} to mend, from the top"
    say(sys.stdout, f"profile {profile}: {summary}")


def _print_json(profile: str, found: "list[Finding]", *, well: bool) -> None:
    import json

    from ocihaul.printing import write_answer
    from ocihaul.redaction import redact

    document: dict[str, Any] = {
        "profile": profile,
        "well": well,
        "findings": [
            {
                "topic": each.topic,
                "verdict": each.status.value,
                "what": redact(each.what),
                "why": each.why or None,
                "mend": redact(each.cure) or None,
            }
            for each in found
        ],
    }
    write_answer(sys.stdout, [json.dumps(document, indent=2, ensure_ascii=False), "\n"])
