"""AWS for a test: moto with its gaps filled, empty; what was asked of it is checked at the end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture
def aws_server() -> Iterator[Any]:
    """``.url``, ``.calls``, ``.counted()``, ``.refuse``. Fails the test when a request was not as botocore's model says."""
    from live.aws.server import moto_aws

    with moto_aws() as recorded:
        yield recorded
        assert recorded.invalid == []


@pytest.fixture
def boto(aws_server: Any) -> Any:
    """``boto("s3")``: a client of boto3 on that server: the hand that changes things behind our back."""
    import boto3

    return lambda service, region="us-east-1": boto3.client(service, endpoint_url=aws_server.url, region_name=region)
