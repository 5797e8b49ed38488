"""What may stand under ``providers: {aws: …}``. Credentials never do: they come from botocore's own chain."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from mlinfra.provider.zilliz.settings import ZillizSettings
from mlinfra_aws.plain import REGION, TAKEN

_ACCOUNT = re.compile(r"\d{12}\Z")


def _texts(value: object) -> object:
    """Account numbers are written with and without quotes; a number loses its leading zeros."""
    if isinstance(value, (list, tuple)):
        return tuple(f"{v:012d}" if isinstance(v, int) and not isinstance(v, bool) else v for v in value)
    return value


class AssumeRole(BaseModel):
    """A role to work as, taken on with the credentials of the chain (``sts:AssumeRole``)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    role_arn: str = Field(pattern=r"^arn:aws[a-z-]*:iam::\d{12}:role/.+$")
    session_name: str = "mlinfra"
    external_id: str | None = None
    duration: int = Field(default=3600, ge=900, le=43200)


class Network(BaseModel):
    """Where machines of EC2 stand. Without ``vpc`` and ``subnets``: the default VPC, in ``zone`` (default: the region's first). ``allow`` are
    the networks that may connect to them (default: private ones)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    vpc: str | None = Field(default=None, pattern=r"^vpc-[0-9a-f]+$")
    subnets: tuple[Annotated[str, Field(pattern=r"^subnet-[0-9a-f]+$")], ...] = ()
    zone: str | None = None
    allow: tuple[Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+\.\d+/\d+$")], ...] = ()


class AwsConfig(BaseModel):
    """Settings of one AWS account and region.

    ``endpoint_url``         one address for every service (moto, LocalStack), or one a service: ``{s3: http://…}``
    ``default_tags``         on everything that is made here, beside its own
    ``max_concurrency``      the most calls at once
    ``retry_mode``           ``mlinfra``: the engine repeats and slows down; else botocore does too, in that mode
    ``allowed_account_ids``  refuse to work in any other account
    ``images``               container images in the place of AWS's own: cpu, gpu, neuron, serving, serving-gpu, milvus
    ``network``              where machines stand, and who may connect to them
    ``milvus_uri``           an address of Milvus in the place of the machine's own: a tunnel or a load balancer in front of it
    ``ray_dashboard``        an address of Ray heads' dashboards in the place of the machines' own: a tunnel
    ``registry``             where images are pushed in the place of ECR's own address: a private endpoint of it
    ``zilliz``               how Zilliz Cloud is reached (``engine: zilliz``): project, api_key, endpoint
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    region: str | None = None
    profile: str | None = None
    assume_role: AssumeRole | None = None
    endpoint_url: str | Mapping[str, str] | None = None
    default_tags: Mapping[str, str] = Field(default_factory=dict)
    max_concurrency: int = Field(default=32, ge=1, le=256)
    retry_mode: Literal["mlinfra", "standard", "adaptive"] = "mlinfra"
    allowed_account_ids: Annotated[tuple[str, ...], BeforeValidator(_texts)] = ()
    images: Mapping[Literal["cpu", "gpu", "neuron", "serving", "serving-gpu", "milvus"], str] = Field(default_factory=dict)
    network: Network = Network()
    milvus_uri: str | None = None
    ray_dashboard: str | None = None
    registry: str | None = None
    zilliz: ZillizSettings = ZillizSettings()

    @field_validator("region")
    @classmethod
    def _is_region(cls, value: str | None) -> str | None:
        if value is not None and not REGION.fullmatch(value):
            raise ValueError(f"{value!r} is no region: eu-central-1, us-east-1 …")
        return value

    @field_validator("allowed_account_ids")
    @classmethod
    def _are_accounts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for account in value:
            if not _ACCOUNT.fullmatch(account):
                raise ValueError(f"{account!r} is no account: 12 digits")
        return value

    @field_validator("default_tags")
    @classmethod
    def _are_tags(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        for key in value:
            if key.startswith(TAKEN):
                raise ValueError(f"the tag {key!r} begins with a prefix that is taken")
        return value
