"""botocore's data files, packed: they say what they say unpacked, and its clients work with them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel

from mlinfra_aws.models import loader, pagination, service_model
from mlinfra_aws.sessions import client_of, session_of
from mlinfra_aws.settings import AwsConfig


def undocumented(data: Any) -> Any:
    if isinstance(data, dict):
        return {
            key: "" if key == "documentation" and isinstance(value, str) else undocumented(value) for key, value in data.items()
        }
    return [undocumented(item) for item in data] if isinstance(data, list) else data


@pytest.fixture(scope="module")
def own() -> Loader:
    return Loader()


@pytest.mark.parametrize("service", ["s3", "iam", "sagemaker", "dynamodb"])
def test_a_packed_model_is_that_of_botocore_without_its_documentation(own: Loader, service: str) -> None:
    wanted = undocumented(own.load_service_model(service, "service-2"))
    operations, shapes = wanted.pop("operations"), wanted.pop("shapes")
    found = dict(loader().load_service_model(service, "service-2"))
    packed = found.pop("operations")
    assert {name: packed[name] for name in operations} == operations
    assert dict(found.pop("shapes")) == shapes
    assert found == wanted


def test_the_rules_of_an_endpoint_and_the_regions_of_a_service_are_those_of_botocore(own: Loader) -> None:
    assert loader().load_service_model("s3", "endpoint-rule-set-1") == undocumented(
        own.load_service_model("s3", "endpoint-rule-set-1")
    )
    for found, wanted in zip(
        loader().load_data("endpoints")["partitions"], own.load_data("endpoints")["partitions"], strict=True
    ):
        assert {**found, "services": dict(found["services"])} == undocumented(wanted)


def test_what_a_service_adds_to_its_own_file_is_there() -> None:
    assert service_model("s3").shape_for("Expires").type_name == "timestamp"
    assert pagination("s3", "ListObjectsV2") == Loader().load_service_model("s3", "paginators-1")["pagination"]["ListObjectsV2"]


def test_what_has_no_pages_is_not_turned() -> None:
    assert pagination("s3", "GetObject") is None
    assert pagination("no-such-service", "ListThings") is None


def client_for(service: str) -> Any:
    settings = AwsConfig(region="eu-central-1", endpoint_url="http://127.0.0.1:1")
    return client_of(session_of(settings), service, settings)


@pytest.mark.parametrize(
    ("service", "method", "operation"),
    [
        ("s3", "head_bucket", "HeadBucket"),  # of a bucket that stands in another region
        ("s3", "create_session", "CreateSession"),
        ("sts", "assume_role", "AssumeRole"),
        ("sts", "assume_role_with_web_identity", "AssumeRoleWithWebIdentity"),
        ("sso", "get_role_credentials", "GetRoleCredentials"),
        ("sso-oidc", "create_token", "CreateToken"),
    ],
)
def test_botocores_own_parts_find_the_methods_of_a_client_that_has_none(
    service: str, method: str, operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_for(service)
    made: list[Any] = []
    monkeypatch.setattr(type(client), "_make_api_call", lambda _, *call: made.append(call))
    assert method not in dir(client)
    getattr(client, method)(Name="n")
    assert made == [(operation, {"Name": "n"})]


def test_what_is_no_operation_is_no_method() -> None:
    with pytest.raises(AttributeError, match="no_such_call"):
        client_for("sts").no_such_call  # noqa: B018


def test_the_model_of_a_client_knows_its_operations_and_their_errors() -> None:
    model = client_for("s3").meta.service_model
    own = ServiceModel(Loader().load_service_model("s3", "service-2"), "s3")
    assert set(model.operation_model("PutBucketTagging").input_shape.members) == set(
        own.operation_model("PutBucketTagging").input_shape.members
    )
    assert {shape.error_code for shape in model.error_shapes} == {shape.error_code for shape in own.error_shapes}


def test_threads_that_read_one_model_at_once_find_all_of_it() -> None:
    fresh = loader.__wrapped__()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: fresh.load_service_model("s3", "service-2"), range(8)))
    for model in found:
        assert model["shapes"]["Expires"] == {"type": "timestamp"} and len(model["shapes"]) > 500
