"""`ocihaul.errors`: every class has a code of its own, and docs/library.md has them all."""

import re
from pathlib import Path

import pytest

import ocihaul
from ocihaul import errors
from ocihaul.errors import OcihaulError, ServiceError
from tests.world import World

DOCUMENT = Path(__file__).parents[3] / "docs" / "library.md"
CLASSES = {
    name: each
    for name, each in vars(errors).items()
    if isinstance(each, type) and issubclass(each, OcihaulError) and each is not OcihaulError
}


def test_every_class_has_a_code_of_its_own() -> None:
    codes = {
        name: vars(each).get("code") for name, each in CLASSES.items() if name != "ServiceError"
    }
    assert all(isinstance(code, str) for code in codes.values()), codes
    assert len(set(codes.values())) == len(codes) > 20
    for code in codes.values():
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", str(code))


def test_the_document_has_the_table_of_them() -> None:
    row = re.compile(r"^\| `(\w+)` \| (?:`([a-z-]+)`|[^|`]+) \|", re.MULTILINE)
    rows = dict(row.findall(DOCUMENT.read_text()))
    expected = {name: each.code or "" for name, each in CLASSES.items()}
    expected["ServiceError"] = ""
    assert rows == expected


def test_the_page_of_exceptions_has_all_of_them() -> None:
    drawn = re.findall(r"[├└]── (\w+)", errors.__doc__ or "")
    assert sorted(drawn) == sorted(CLASSES)


def test_the_service_s_code_is_the_error_s(here: World) -> None:
    with ocihaul.Client.from_profile() as client, pytest.raises(ServiceError) as caught:
        list(client.list_objects("no-such-bucket"))
    assert (caught.value.status, caught.value.code) == (404, "BucketNotFound")
    assert here.oci.log.count(operation="ListObjects") == 1


def test_an_answer_without_a_document_has_no_code(here: World) -> None:
    with ocihaul.Client.from_profile() as client, pytest.raises(ServiceError) as caught:
        client.head_object("backups", "nothing")
    assert (caught.value.status, caught.value.code) == (404, None)
    assert here.oci.log.count(operation="HeadObject") == 1
