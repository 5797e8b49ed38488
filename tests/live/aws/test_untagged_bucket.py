"""S3 that does not tag a bucket in the call that makes it: what a kill leaves between the two calls is found again, and only that."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from mlinfra.model.resource import Desired, Observed
from mlinfra.model.values import Map
from mlinfra.provider.contract import ProviderContext
from mlinfra.provider.registry import Registry

pytestmark = pytest.mark.live
TOKEN = "0123456789abcdef" * 2


def find(url: str, folder: Path) -> Observed | None:
    provider = Registry().get("aws")
    config = provider.config(region="us-east-1", endpoint_url=url)
    context = ProviderContext(project="p", environment="e", base=folder, data=folder / "data")

    async def ask() -> Observed | None:
        client = await provider.connect(config, context)
        try:
            desired = Desired(address="raw", type="aws.s3_bucket", attributes=Map(BucketName="left-behind"))
            return await provider.types["aws.s3_bucket"].find(client, desired, TOKEN)  # type: ignore[attr-defined]
        finally:
            await client.close()

    return asyncio.run(ask())


def test_an_empty_bucket_without_tags_is_what_the_create_left_and_is_tagged_now(
    aws_server: Any, boto: Any, tmp_path: Path
) -> None:
    assert find(aws_server.url, tmp_path) is None
    boto("s3").create_bucket(Bucket="left-behind")
    found = find(aws_server.url, tmp_path)
    assert found is not None and found.id == "left-behind"
    tags = {t["Key"]: t["Value"] for t in boto("s3").get_bucket_tagging(Bucket="left-behind")["TagSet"]}
    assert tags["mlinfra:op"] == TOKEN and tags["mlinfra:address"] == "raw"


def test_a_bucket_that_somebody_uses_or_has_tagged_is_left_alone(aws_server: Any, boto: Any, tmp_path: Path) -> None:
    s3 = boto("s3")
    s3.create_bucket(Bucket="left-behind")
    s3.put_object(Bucket="left-behind", Key="k", Body=b"theirs")
    assert find(aws_server.url, tmp_path) is None
    s3.delete_object(Bucket="left-behind", Key="k")
    s3.put_bucket_tagging(Bucket="left-behind", Tagging={"TagSet": [{"Key": "owner", "Value": "them"}]})
    assert find(aws_server.url, tmp_path) is None
