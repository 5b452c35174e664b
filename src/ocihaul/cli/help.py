"""`--help`: options in groups, where the global ones are, and examples.

Commands stay plain click commands where they are defined; a group makes them `HelpCommand`s when
it hands them out. Man pages and the reference are made of the same parts.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from textwrap import indent

import click

#: Titles in their order, each with the parameter names of its options.
_GROUPS: Mapping[str, frozenset[str]] = {
    title: frozenset(names.split())
    for title, names in {
        "Files and objects": (
            "namespace bucket_name name file object_name src_dir dest_dir prefix object_prefix "
            "delimiter version_id range upload_id source_object_name source_version_id "
            "destination_bucket destination_object_name destination_namespace destination_region "
            "source_name new_name no_follow_symlinks include exclude shard objects "
            "compartment_id start end start_after page all_pages limit page_size fields"
        ),
        "What is there already": (
            "force no_overwrite overwrite delete if_exists if_match if_none_match "
            "source_object_if_match_e_tag destination_object_if_match_e_tag "
            "destination_object_if_none_match_e_tag src_obj_if_match_e_tag "
            "new_obj_if_match_e_tag new_obj_if_none_match_e_tag"
        ),
        "Content": (
            "metadata content_type content_language content_encoding content_disposition "
            "cache_control storage_tier destination_object_metadata "
            "destination_object_storage_tier http_response_content_disposition "
            "http_response_cache_control http_response_content_type "
            "http_response_content_language http_response_content_encoding http_response_expires"
        ),
        "Parts and speed": (
            "part_size parallel_upload_count parallel_download_count parallel_operations_count "
            "no_multipart disable_parallel_uploads multipart_download_threshold memory_limit "
            "spool_dir"
        ),
        "Workers of a Dask cluster": (
            "dask dask_tls_ca_file dask_tls_cert dask_tls_key dask_allow_plain_tcp"
        ),
        "Checks and proof": (
            "verify_checksum no_verify_checksum checksum content_md5 opc_checksum_algorithm "
            "opc_content_crc32c opc_content_sha256 opc_content_sha384 expected_size "
            "expected_sha256 allow_empty receipt"
        ),
        "Encryption": (
            "encryption_key_file source_encryption_key_file opc_sse_kms_key_id kms_key_id "
            "is_bucket_key_enabled"
        ),
        "Interruptions and waiting": (
            "restart no_wait outlive_session restore wait_for_state max_wait_seconds "
            "wait_interval_seconds"
        ),
        # Of the whole program
        "Who and where": (
            "config_file profile cli_rc_file auth region endpoint auth_endpoint "
            "realm_specific_endpoint enable_dual_stack"
        ),
        "Session": (
            "renew_with session_expiration_in_minutes session_wait on_park login "
            "require_session expected_rate"
        ),
        "Network": (
            "allow_plain_http cert_bundle connection_timeout read_timeout max_retries no_retry "
            "proxy congestion_control bandwidth request_id"
        ),
        "Answer": "output query raw_output debug",
        "Log": (
            "log_format log_file quiet verbose progress_interval on_finish on_failure notify "
            "metrics_file report"
        ),
    }.items()
}
_OTHER = "Other options"
#: Columns of an example's line, without what stands before it.
_WIDTH = 72
#: Fewer options than this stand in one list.
_MANY = 9
#: Columns from which on names and explanations stand side by side.
_NARROW = 48
#: Characters of a first sentence that is shown whole, on more lines than one if need be.
_SENTENCE = 500
_GLOBAL = (
    "Global options (profile, region, session, network, log) work here too: see ocihaul --help"
)


def option_groups(
    command: click.Command, context: click.Context
) -> list[tuple[str, list[click.Option]]]:
    """The options that are shown, by the titles of their groups."""
    shown = [
        each
        for each in command.get_params(context)
        if isinstance(each, click.Option) and not each.hidden
    ]
    if len(shown) < _MANY:
        return [("Options", shown)] if shown else []
    groups: dict[str, list[click.Option]] = {title: [] for title in (*_GROUPS, _OTHER)}
    for each in shown:
        groups[_title(each)].append(each)
    return [(title, options) for title, options in groups.items() if options]


def _title(option: click.Option) -> str:
    return next((title for title, names in _GROUPS.items() if option.name in names), _OTHER)


def examples_of(path: str) -> Sequence[tuple[str, str]]:
    """The examples of the command at `path` (without the program): what each does, and its line."""
    return [(text, _broken(f"ocihaul {line}")) for text, line in all_examples().get(path, ())]


@cache
def all_examples() -> Mapping[str, Sequence[tuple[str, str]]]:
    """What examples.txt has: by each command's path, what a line does and the line."""
    text = files("ocihaul.cli").joinpath("examples.txt").read_text(encoding="utf-8")
    found: dict[str, list[tuple[str, str]]] = {}
    for block in text.split("\n\n")[1:]:
        path, *lines = block.strip().splitlines()
        pairs = zip(lines[::2], lines[1::2], strict=True)
        found[path] = [(what.strip(" #"), line.strip()) for what, line in pairs]
    return found


def _broken(line: str) -> str:
    """A command line, broken before its options as a shell allows it, where it is too long."""
    lines = [""]
    for number, piece in enumerate(line.split(" --")):
        word = f" --{piece}" if number else piece
        if number and len(lines[-1]) + len(word) > _WIDTH:
            lines[-1] += " \\"
            word = f"    --{piece}"
        else:
            lines[-1] += word
            continue
        lines.append(word)
    return "\n".join(lines)


def path_of(context: click.Context) -> str:
    """The command's path below the program, such as `os object put`."""
    return context.command_path.partition(" ")[2]


def write_options(
    command: click.Command, context: click.Context, formatter: click.HelpFormatter
) -> None:
    """Write the options in their groups."""
    for title, options in option_groups(command, context):
        records = [record for each in options if (record := each.get_help_record(context))]
        with formatter.section(title):
            formatter.write_dl(records, col_max=_first_column(formatter))


def _first_column(formatter: click.HelpFormatter) -> int:
    """Columns of what is explained; in a narrow terminal the explanation goes below it."""
    return 30 if formatter.width >= _NARROW else 6


def write_commands(
    group: click.Group, context: click.Context, formatter: click.HelpFormatter
) -> None:
    """Write the commands of a group, each with its first sentence."""
    commands = [(name, group.get_command(context, name)) for name in group.list_commands(context)]
    rows = [
        (name, command.get_short_help_str(_SENTENCE))
        for name, command in commands
        if command is not None and not command.hidden
    ]
    if rows:
        with formatter.section("Commands"):
            formatter.write_dl(rows, col_max=_first_column(formatter))


def write_end(context: click.Context, formatter: click.HelpFormatter) -> None:
    """Write where the global options are, and the examples, whose lines are never broken."""
    if context.parent is not None:
        formatter.write_paragraph()
        formatter.write_text(_GLOBAL)
    _write_examples(examples_of(path_of(context)), formatter)


def _write_examples(examples: Iterable[tuple[str, str]], formatter: click.HelpFormatter) -> None:
    for number, (text, line) in enumerate(examples):
        formatter.write("\nExamples:\n" if not number else "")
        formatter.write(indent(f"# {text}\n{line}", "  ") + "\n")
