"""As whom AWS is spoken to: a role that is assumed, an account that is allowed, tags on everything, who repeats a throttled call. In-process:
the client as the engine connects it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from mlinfra.model.resource import Desired
from mlinfra.model.values import Map
from mlinfra.provider.contract import ProviderContext
from mlinfra.provider.failures import Denied, Failure, Throttled
from mlinfra_aws.client import Aws
from mlinfra_aws.resources.s3 import BUCKET
from mlinfra_aws.settings import AwsConfig

pytestmark = pytest.mark.live

ROLE = "arn:aws:iam::123456789012:role/deployer"


def client(server: Any, folder: Path, **settings: Any) -> Aws:
    config = AwsConfig.model_validate({"region": "us-east-1", "endpoint_url": server.url, **settings})
    return Aws(config, ProviderContext(project="p", environment="e", base=folder, data=folder))


def test_a_role_is_assumed_with_the_credentials_of_the_chain_and_all_calls_are_its_own(aws_server: Any, tmp_path: Path) -> None:
    role = {"role_arn": ROLE, "session_name": "release-42", "external_id": "acme"}
    aws = client(aws_server, tmp_path, assume_role=role)
    told = aws.call("sts", "GetCallerIdentity")
    assert told["Arn"] == "arn:aws:sts::123456789012:assumed-role/deployer/release-42"
    (assumed,) = [c for c in aws_server.calls if c.operation == "AssumeRole"]
    assert assumed.parameters["ExternalId"] == "acme" and assumed.parameters["DurationSeconds"] == 3600
    aws.call("s3", "ListBuckets")
    assert aws_server.counted()["sts:AssumeRole"] == 1  # once, not once a call


def test_a_role_that_may_not_be_assumed_is_denied_by_its_name(aws_server: Any, tmp_path: Path) -> None:
    from moto.core.exceptions import ServiceException

    said = f"User: arn:aws:iam::123456789012:user/ci is not authorized to perform: sts:AssumeRole on resource: {ROLE}"
    aws_server.refuse["sts:AssumeRole"] = [ServiceException("AccessDenied", said)]
    aws = client(aws_server, tmp_path, assume_role={"role_arn": ROLE}, allowed_account_ids=["123456789012"])
    with pytest.raises(Denied) as refused:
        asyncio.run(aws.open())
    assert f"the role {ROLE} cannot be assumed" in refused.value.message and "trust policy" in refused.value.hint
    assert aws_server.counted()["sts:AssumeRole"] == 1  # asking again would not help


def test_another_account_is_refused_before_anything_is_done(aws_server: Any, tmp_path: Path) -> None:
    with pytest.raises(Denied, match="123456789012"):
        asyncio.run(client(aws_server, tmp_path, allowed_account_ids=[999999999999]).open())
    asyncio.run(client(aws_server, tmp_path, allowed_account_ids=["999999999999", "123456789012"]).open())
    assert {c.operation for c in aws_server.calls} == {"GetCallerIdentity"}


def test_default_tags_stand_on_what_is_made_beside_our_own(aws_server: Any, tmp_path: Path, boto: Any) -> None:
    aws = client(aws_server, tmp_path, default_tags={"cost-center": "ml"})
    desired = Desired(
        address="raw", type="aws.s3_bucket", attributes=Map(BucketName="raw-of-p", Tags=(Map(Key="team", Value="x"),))
    )
    asyncio.run(BUCKET.create(aws, desired, "0" * 32))
    tags = {t["Key"]: t["Value"] for t in boto("s3").get_bucket_tagging(Bucket="raw-of-p")["TagSet"]}
    assert tags["cost-center"] == "ml" and tags["team"] == "x" and tags["mlinfra:address"] == "raw"


@pytest.mark.parametrize(("mode", "asked"), [("mlinfra", 1), ("standard", 3)])
def test_who_repeats_a_throttled_call_is_a_setting(aws_server: Any, tmp_path: Path, mode: str, asked: int) -> None:
    from moto.core.exceptions import ServiceException

    aws_server.refuse["dynamodb:ListTables"] = [ServiceException("ThrottlingException", "Rate exceeded")] * 2
    aws = client(aws_server, tmp_path, retry_mode=mode)
    failure: Failure | None = None
    try:
        aws.call("dynamodb", "ListTables")
    except Failure as raised:
        failure = raised
    assert aws_server.counted()["dynamodb:ListTables"] == asked
    assert isinstance(failure, Throttled) is (mode == "mlinfra")


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"assume_role": {"role_arn": "deployer"}}, "role_arn"),
        ({"allowed_account_ids": ["12"]}, "12 digits"),
        ({"default_tags": {"mlinfra:project": "x"}}, "prefix that is taken"),
        ({"retry_mode": "often"}, "retry_mode"),
        ({"region": "Frankfurt"}, "no region"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        AwsConfig.model_validate(settings)
