"""The facts of a recording: shapes in place of values."""

import json
import subprocess
from pathlib import Path

import pytest

from tools.recorded_facts import FOLDER, merged, shape_of_json, shape_of_path, table

CASSETTE = """
interactions:
- request:
    body: '{}'
    headers: {if-match: [secret-etag]}
    method: GET
    uri: https://host/n/tenant/b/mine/o?fields=name&limit=2
  response:
    body: {string: '{"objects":[{"name":"private","size":1},{"name":"other"}]}'}
    headers: {Content-Type: [application/json], X-One: ['1'], connection: [close]}
    status: {code: 200}
- request:
    headers: {if-match: [secret-etag]}
    method: GET
    uri: https://host/n/tenant/b/mine/o?fields=size&limit=3
  response:
    body: {string: '{"objects":[],"nextStartWith":"x"}'}
    headers: {Content-Type: [application/json], X-Two: ['1']}
    status: {code: 200}
- request:
    headers: {}
    method: DELETE
    uri: https://host/n/tenant/b/mine
  response:
    body: {string: '{"code":"Not","message":"The bucket ''mine'' is ''other''"}'}
    headers: {Content-Type: [application/json]}
    status: {code: 409}
"""


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("/n", "/n"),
        ("/n/tenant/", "/n/{namespace}"),
        ("/n/tenant/b/mine/", "/n/{namespace}/b/{bucket}"),
        ("/n/tenant/b/mine/o/a/b c", "/n/{namespace}/b/{bucket}/o/{name}"),
        ("/n/tenant/b/mine/u", "/n/{namespace}/b/{bucket}/u"),
        ("/n/tenant/b/m/actions/copyObject", "/n/{namespace}/b/{bucket}/actions/copyObject"),
        ("/workRequests/id/errors", "/workRequests/{id}/errors"),
        ("/other/ocid1.x.y/z", "/other/{id}/z"),
    ],
)
def test_paths_lose_their_names(path: str, shape: str) -> None:
    assert shape_of_path(path) == shape


def test_shapes_have_types_and_say_what_is_optional() -> None:
    first = shape_of_json({"a": 1, "b": None, "metadata": {"mine": 1}, "l": []})
    second = shape_of_json({"a": "x", "b": {"c": True}, "l": [{"d": 1.5}]})
    assert first == {"a": ["number"], "b": ["null"], "metadata": ["object"], "l": {"[]": None}}
    assert merged(first, second) == {
        "a": ["number", "string"],
        "b": {"c": ["boolean"], "|": ["null"]},
        "l": {"[]": {"d": ["number"]}},
        "metadata?": ["object"],
    }


def test_a_table_has_no_values(tmp_path: Path) -> None:
    pytest.importorskip("yaml", reason="PyYAML, which only this tool needs, is not installed")
    folder = tmp_path / FOLDER
    folder.mkdir(parents=True)
    (folder / "one.yml").write_text(CASSETTE, encoding="utf-8")
    identity = ["-c", "user.name=x", "-c", "user.email=x@y"]
    for command in (["init", "-q"], ["add", "."], [*identity, "commit", "-qm", "x"]):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True, capture_output=True)
    refused, listed = sorted(table(tmp_path), key=lambda row: -row["status"])
    assert (listed["count"], listed["query"], listed["sent"]) == (
        2,
        ["fields", "limit"],
        ["if-match"],
    )
    assert (listed["headers"], listed["sometimes"]) == (["content-type"], ["x-one", "x-two"])
    assert listed["body"] == {
        "nextStartWith?": ["string"],
        "objects": {"[]": {"name": ["string"], "size?": ["number"]}},
    }
    assert (refused["code"], refused["message"]) == ("Not", "The bucket '…' is '…'")
    text = json.dumps([refused, listed])
    assert not any(word in text for word in ("tenant", "mine", "private", "secret"))
