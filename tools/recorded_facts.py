"""Facts of recorded exchanges with the real service: `python -m tools.recorded_facts CHECKOUT`.

CHECKOUT is a clone of oracle/oci-cli (bare or not), whose tests come with recordings in
`services/object_storage/tests/objectstorage_cassettes`. What is printed is a table in JSON, one row
for each kind of exchange: method, shape of the path, names in the query and in the body of the
request, status, names of headers, keys and types of the answer's JSON, and an error's code and
message with the names in it taken out. No value of anybody's is in it.
"""

import argparse
import importlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

FOLDER = "services/object_storage/tests/objectstorage_cassettes"
#: Objects whose keys are the caller's own.
_FREE = frozenset({"freeformTags", "definedTags", "metadata", "meterFlagSet"})
#: Of the connection, not of the service's answer.
_CONNECTION = frozenset({"connection", "transfer-encoding", "keep-alive"})
_WORDS = re.compile(r"'[^']*'")
_PATHS = (
    (r"/n/[^/]+/b/[^/]+/(o|u|p|actions|retentionRules|replicationPolicies)/(.+)", None),
    (r"/n/[^/]+/b/[^/]+/(\w+)/?", "/n/{namespace}/b/{bucket}/@"),
    (r"/n/[^/]+/b/[^/]+/?", "/n/{namespace}/b/{bucket}"),
    (r"/n/[^/]+/b/?", "/n/{namespace}/b"),
    (r"/n/[^/]+/?", "/n/{namespace}"),
    (r"/n/?", "/n"),
    (r"/workRequests/[^/]+(/\w+)?", "/workRequests/{id}@"),
)


def shape_of_path(path: str) -> str:
    """The path with placeholders where names were."""
    for pattern, shape in _PATHS:
        match = re.fullmatch(pattern, path)
        if match is None:
            continue
        if shape is not None:
            return shape.replace("@", (match.groups() or ("",))[0] or "")
        kind, rest = match.groups()
        if kind == "actions":
            return f"/n/{{namespace}}/b/{{bucket}}/actions/{rest}"
        return f"/n/{{namespace}}/b/{{bucket}}/{kind}/{{name}}"
    return re.sub(r"ocid1[^/]+", "{id}", path)


def shape_of_json(value: Any, key: str = "") -> Any:
    """Types in place of values; lists become the shape that all their items have together."""
    if isinstance(value, dict):
        if key in _FREE:
            return ["object"]
        return {name: shape_of_json(each, name) for name, each in sorted(value.items())}
    if isinstance(value, list):
        shape: Any = None
        for each in value:
            shape = merged(shape, shape_of_json(each, key))
        return {"[]": shape}
    if value is None:
        return ["null"]
    names = {bool: "boolean", int: "number", float: "number", str: "string"}
    return [names[type(value)]]


def merged(first: Any, second: Any) -> Any:
    """The shape of what has either shape; a key that is not always there gets a question mark."""
    if first is None or second is None:
        return second if first is None else first
    if isinstance(first, list) and isinstance(second, list):
        return sorted({*first, *second})
    if isinstance(first, dict) and isinstance(second, dict):
        if "[]" in first and "[]" in second:
            return {"[]": merged(first["[]"], second["[]"])}
        return _merged_objects(first, second)
    rest = next(each for each in (first, second) if isinstance(each, dict))
    types = next(each for each in (first, second) if isinstance(each, list))
    return {**rest, "|": sorted({*types, *rest.get("|", [])})}


def _merged_objects(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name in sorted({key.rstrip("?") for key in (*first, *second)}):
        sides = [side for side in (first, second) if name in side or f"{name}?" in side]
        shape = None
        for side in sides:
            shape = merged(shape, side.get(name, side.get(f"{name}?")))
        always = name in first and name in second
        result[name if always else f"{name}?"] = shape
    return result


def exchanges(checkout: Path) -> Iterator[dict[str, Any]]:
    """Each recorded request with its answer."""
    git = ["git", "-C", str(checkout)]
    listed = subprocess.run(
        [*git, "ls-tree", "--name-only", "HEAD", FOLDER + "/"],
        capture_output=True,
        text=True,
        check=True,
    )
    yaml = importlib.import_module("yaml")  # PyYAML, which nothing else here needs
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    for name in listed.stdout.split():
        if name.endswith(".yml"):
            shown = subprocess.run([*git, "show", f"HEAD:{name}"], capture_output=True, check=True)
            yield from yaml.load(shown.stdout, loader)["interactions"]


def row(exchange: dict[str, Any]) -> dict[str, Any]:
    """The facts of one exchange."""
    request, response = exchange["request"], exchange["response"]
    url = urlsplit(request["uri"])
    headers = {name.lower() for name in response["headers"]} - _CONNECTION
    sent = sorted(
        {name.lower() for name in request["headers"]} & {"if-match", "if-none-match", "range"}
    )
    result: dict[str, Any] = {
        "method": request["method"],
        "path": shape_of_path(unquote(url.path)),
        "query": sorted(name for name, _ in parse_qsl(url.query, keep_blank_values=True)),
        "sent": sent,
        "status": response["status"]["code"],
        "count": 1,
        "headers": sorted(headers),
        "sometimes": [],
    }
    content_type = response["headers"].get("Content-Type", response["headers"].get("content-type"))
    text = response["body"].get("string") or ""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    is_object = result["path"].endswith("/o/{name}") and result["status"] < 300
    if text and content_type and "json" in content_type[0] and not is_object:
        value = json.loads(text)
        if result["status"] >= 400:
            result["code"] = value["code"]
            result["message"] = _WORDS.sub("'…'", value["message"])
            value = {key: each for key, each in value.items() if key not in ("code", "message")}
            assert_known = sorted(value)
            if assert_known:
                result["more"] = assert_known
        else:
            result["body"] = shape_of_json(value)
    return result


def table(checkout: Path) -> list[dict[str, Any]]:
    """One row for each kind."""
    kinds: dict[str, dict[str, Any]] = {}
    for exchange in exchanges(checkout):
        new = row(exchange)
        parts = ("method", "path", "query", "sent", "status", "code", "message")
        key = json.dumps([new.get(name) for name in parts])
        if key not in kinds:
            kinds[key] = new
            continue
        old = kinds[key]
        known = set(old["headers"])
        old["sometimes"] = sorted(
            {*old["sometimes"], *(known ^ set(new["headers"]))} - (known & set(new["headers"]))
        )
        old["headers"] = sorted(known & set(new["headers"]))
        old["count"] += 1
        if "body" in new or "body" in old:
            old["body"] = merged(old.get("body"), new.get("body"))
    order = ("path", "method", "status", "query")
    return sorted(kinds.values(), key=lambda kind: json.dumps([kind[name] for name in order]))


def main() -> int:
    """Print the table; headers that are in every answer stand once, at its head."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("checkout", type=Path, help="a clone of oracle/oci-cli")
    rows = table(parser.parse_args().checkout)
    always = set.intersection(*(set(row["headers"]) for row in rows))
    for each in rows:
        each["headers"] = sorted(set(each["headers"]) - always)
    shown = [{key: value for key, value in each.items() if value not in ([], "")} for each in rows]
    lines = ",\n".join(json.dumps(each, ensure_ascii=False) for each in shown)
    head = json.dumps(sorted(always))
    sys.stdout.write(f'{{"always": {head},\n"kinds": [\n{lines}\n]}}\n')
    return 0


if __name__ == "__main__":
    sys.exit(main())
