"""Regions: names, short codes, private realms, and what an unknown one does."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocihaul import endpoints
from ocihaul.endpoints import resolve_region
from ocihaul.errors import ConfigError

PRIVATE = {
    "realmKey": "OC99",
    "realmDomainComponent": "Private.Example",
    "regionKey": "PRV",
    "regionIdentifier": "xx-private-1",
}


def test_every_realm_and_region_of_the_sdk_is_known() -> None:
    known = endpoints.tables()
    assert len(known.realm_of) == 85
    assert len(known.name_of_code) == 85
    assert len(known.domain_of) == 20


@pytest.mark.parametrize(
    ("text", "name", "realm", "domain"),
    [
        ("eu-frankfurt-1", "eu-frankfurt-1", "oc1", "oraclecloud.com"),
        ("IAD", "us-ashburn-1", "oc1", "oraclecloud.com"),
        (" US-Ashburn-1 ", "us-ashburn-1", "oc1", "oraclecloud.com"),
        ("us-langley-1", "us-langley-1", "oc2", "oraclegovcloud.com"),
        ("uk-gov-london-1", "uk-gov-london-1", "oc4", "oraclegovcloud.uk"),
        ("eu-dcc-milan-1", "eu-dcc-milan-1", "oc14", "oraclecloud14.com"),
        ("eu-frankfurt-2", "eu-frankfurt-2", "oc19", "oraclecloud.eu"),
    ],
)
def test_a_known_region_has_its_realm(text: str, name: str, realm: str, domain: str) -> None:
    assert resolve_region(text, environ={}) == endpoints.Region(name, realm, domain)


@pytest.mark.parametrize(
    ("region", "realm_specific", "dual_stack", "url"),
    [
        ("iad", False, False, "https://objectstorage.us-ashburn-1.oraclecloud.com"),
        ("iad", False, True, "https://objectstorage.us-ashburn-1.ds.oci.oraclecloud.com"),
        ("iad", True, False, "https://ns.objectstorage.us-ashburn-1.oci.customer-oci.com"),
        ("iad", True, True, "https://ns.objectstorage.us-ashburn-1.ds.oci.customer-oci.com"),
        ("us-langley-1", True, False, "https://objectstorage.us-langley-1.oraclegovcloud.com"),
        ("a.private.example", True, True, "https://objectstorage.a.private.example"),
    ],
)
def test_object_storage_has_four_kinds_of_address(
    region: str, realm_specific: bool, dual_stack: bool, url: str
) -> None:
    resolved = resolve_region(region, environ={})
    assert (
        endpoints.object_storage_endpoint(
            resolved, namespace="ns", realm_specific=realm_specific, dual_stack=dual_stack
        )
        == url
    )


def test_a_realm_specific_address_without_a_namespace_has_no_leading_dot() -> None:
    region = resolve_region("eu-paris-1", environ={})
    assert (
        endpoints.object_storage_endpoint(region, realm_specific=True)
        == "https://objectstorage.eu-paris-1.oci.customer-oci.com"
    )


def test_auth_and_login_live_beside_object_storage() -> None:
    region = resolve_region("fra", environ={})
    assert endpoints.auth_endpoint(region) == "https://auth.eu-frankfurt-1.oraclecloud.com"
    assert endpoints.login_endpoint(region) == "https://login.eu-frankfurt-1.oraclecloud.com"
    assert (
        endpoints.login_endpoint(region, dual_stack=True)
        == "https://login.eu-frankfurt-1.ds.oci.oraclecloud.com"
    )


def test_a_dotted_region_is_the_whole_domain() -> None:
    region = resolve_region("lab.example:8443", environ={})
    assert endpoints.auth_endpoint(region) == "https://auth.lab.example:8443"


def test_the_metadata_file_goes_before_the_variable() -> None:
    other = PRIVATE | {"realmKey": "oc98", "realmDomainComponent": "other.example"}
    region = resolve_region(
        "xx-private-1",
        environ={"OCI_REGION_METADATA": json.dumps(other)},
        metadata_file=json.dumps([PRIVATE]),
    )
    assert region == endpoints.Region("xx-private-1", "oc99", "private.example")


def test_a_short_code_from_the_metadata_is_understood() -> None:
    region = resolve_region("prv", environ={"OCI_REGION_METADATA": json.dumps(PRIVATE)})
    assert region.name == "xx-private-1"


def test_metadata_never_redefines_what_is_published() -> None:
    evil = PRIVATE | {"regionIdentifier": "us-ashburn-1", "regionKey": "iad"}
    region = resolve_region("iad", environ={"OCI_REGION_METADATA": json.dumps(evil)})
    assert region.domain == "oraclecloud.com"
    evil = PRIVATE | {"realmKey": "oc1"}
    region = resolve_region("prv", environ={"OCI_REGION_METADATA": json.dumps(evil)})
    assert region.domain == "oraclecloud.com"


def test_the_default_realm_is_the_domain_of_unknown_regions() -> None:
    region = resolve_region("anything", environ={"OCI_DEFAULT_REALM": "private.example"})
    assert endpoints.auth_endpoint(region) == "https://auth.anything.private.example"


def test_a_new_region_of_the_usual_form_is_assumed_in_oc1_and_says_so() -> None:
    region = resolve_region("eu-madrid-7", environ={})
    assert region.realm == "oc1"
    assert region.notice is not None
    assert "unknown region 'eu-madrid-7'; assuming realm oc1" in region.notice
    assert "eu-madrid-" in region.notice.replace("eu-madrid-7", "")


def test_the_instance_metadata_service_is_said_to_be_ignored() -> None:
    region = resolve_region(
        "eu-atlantis-1", environ={"OCI_CLI_USE_INSTANCE_METADATA_SERVICE": "True"}
    )
    assert "OCI_CLI_USE_INSTANCE_METADATA_SERVICE" in (region.notice or "")


@pytest.mark.parametrize("typo", ["us-ashbrun-1", "eu-frankfrt-1", "us_ashburn_1", "frankfurt"])
def test_an_unknown_region_names_the_nearest_one_and_the_cure(typo: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve_region(typo, environ={}, where="--region")
    assert str(caught.value).startswith(f"--region is {typo!r}, an unknown region")
    assert "OCI_REGION_METADATA" in str(caught.value)
    assert "Did you mean" in str(caught.value) or "such as us-ashburn-1" in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "us ashburn", "a/b", "user@host.example", "host:80", "-x.example", "a..b", "x.é"]
)
def test_an_impossible_name_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="cannot be the name of a region"):
        resolve_region(text, environ={"OCI_DEFAULT_REALM": "private.example"})


@pytest.mark.parametrize("broken", ["{", "[]", '"x"', '{"realmKey": 1}'])
def test_broken_metadata_is_named_when_nothing_else_knows_the_region(broken: str) -> None:
    with pytest.raises(ConfigError, match=r"OCI_REGION_METADATA (is not|has an entry)"):
        resolve_region("nowhere", environ={"OCI_REGION_METADATA": broken})


def test_no_published_region_is_taken_for_a_typo_of_another() -> None:
    names = sorted(endpoints.tables().realm_of)
    assert not [(a, b) for a in names for b in names if a != b and endpoints._is_typo(a, b)]


@given(st.text(max_size=30))
def test_any_text_is_resolved_or_refused_with_a_hint(text: str) -> None:
    hint: str | None = "none needed"
    try:
        resolve_region(text, environ={})
    except ConfigError as error:
        hint = error.hint
    assert hint
