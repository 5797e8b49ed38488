"""What the lowerings share: names, texts that wait for attributes, roles with no more rights than their work needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mlinfra.model.resource import Resource
from mlinfra.model.values import Expr, Map, Secret, Value, is_known
from mlinfra.provider.contract import LoweringContext
from mlinfra.provider.hardware.offers import Offer, load
from mlinfra.provider.lowerings import given as given
from mlinfra.provider.lowerings import named as named
from mlinfra.provider.lowerings import own as own
from mlinfra.provider.lowerings import text as text

PRIVATE = Map(BlockPublicAcls=True, BlockPublicPolicy=True, IgnorePublicAcls=True, RestrictPublicBuckets=True)
ENCRYPTED = Map(ServerSideEncryptionConfiguration=(Map(ServerSideEncryptionByDefault=Map(SSEAlgorithm="AES256")),))


def offers() -> tuple[Offer, ...]:
    """AWS's hardware catalogue."""
    return load("mlinfra_aws")


def region_of(context: LoweringContext) -> str:
    """The region, which hardware, prices and images depend on: a plan must know it."""
    region = context.settings.get("region")
    if not isinstance(region, str):
        raise context.error(
            "aws.region_unknown",
            f"a {context.component.kind} on aws needs the region at plan time: hardware, prices and images depend on it",
            hint="providers: {aws: {region: eu-central-1}}",
        )
    return region


def bucket_arn_of(uri: Value) -> Value:
    """The ARN of the bucket that an ``s3://`` URI lies in."""
    if isinstance(uri, str) and is_known(uri):
        return "arn:aws:s3:::" + uri.removeprefix("s3://").partition("/")[0]
    return Expr("arn:aws:s3:::${uri.split('/')[2]}", ((("uri",), uri),))


def bucket(
    context: LoweringContext, name: Value, *, role: str = "", versioning: bool | Value = False, empties: Value = True
) -> Resource:
    """A private, encrypted bucket."""
    attributes: dict[str, Value] = {
        "BucketName": name,
        "PublicAccessBlockConfiguration": PRIVATE,
        "BucketEncryption": ENCRYPTED,
        "ForceDestroy": empties,
    }
    if versioning is not False:
        attributes["VersioningConfiguration"] = Map(Status="Enabled")
    return context.resource("aws.s3_bucket", attributes, role=role)


def may_read(arn: Value) -> Map:
    """Everything in a bucket may be read."""
    return _allow(("s3:GetObject", "s3:ListBucket", "s3:GetBucketLocation"), (arn, text("${arn}/*", arn=arn)))


def may_write(arn: Value) -> Map:
    """Everything in a bucket may be read and written."""
    actions = (
        "s3:GetObject",
        "s3:PutObject",
        "s3:DeleteObject",
        "s3:ListBucket",
        "s3:GetBucketLocation",
        "s3:AbortMultipartUpload",
    )
    return _allow(actions, (arn, text("${arn}/*", arn=arn)))


def may_run_containers() -> tuple[Map, ...]:
    """What every SageMaker container needs: its image, its log, its metrics."""
    logs = ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams")
    pull = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
    return (
        _allow(logs, ("arn:aws:logs:*:*:log-group:/aws/sagemaker/*",)),
        _allow(("ecr:GetAuthorizationToken", "cloudwatch:PutMetricData"), ("*",)),
        _allow(pull, ("arn:aws:ecr:*:*:repository/*",)),
    )


def _allow(actions: Iterable[str], resources: Iterable[Value]) -> Map:
    return Map(Effect="Allow", Action=tuple(actions), Resource=tuple(resources))


def allow(actions: Iterable[str], resources: Iterable[Value]) -> Map:
    """One statement of a policy."""
    return _allow(actions, resources)


def reach(context: LoweringContext, where: Value) -> tuple[Map, ...]:
    """A job reads what its inputs name, which may lie in any bucket of the stack, and writes into the bucket ``where``."""
    arn = text("arn:aws:s3:::${name}", name=where)
    stack = "-".join(p for p in (context.project, context.environment) if p)
    read = ("s3:GetObject", "s3:ListBucket", "s3:GetBucketLocation")
    return may_write(arn), allow(read, (f"arn:aws:s3:::{stack}-*", f"arn:aws:s3:::{stack}-*/*"))


def service_role(
    context: LoweringContext, name: str, statements: Iterable[Map], *, service: str | tuple[str, ...] = "sagemaker.amazonaws.com",
    role: str = "role",
) -> Resource:  # fmt: skip
    """A role that a service takes on, with one policy of its own."""
    trust = Map(
        Version="2012-10-17",
        Statement=(Map(Effect="Allow", Principal=Map(Service=service), Action="sts:AssumeRole"),),
    )
    policy = Map(PolicyName="work", PolicyDocument=Map(Version="2012-10-17", Statement=tuple(statements)))
    return context.resource(
        "aws.iam_role", {"RoleName": name, "AssumeRolePolicyDocument": trust, "Policies": (policy,)}, role=role
    )


def environment(env: Mapping[str, Value]) -> Map:
    """Environment variables as AWS takes them: texts; a secret stays one until the call that needs it."""
    from mlinfra.provider.runs.words import setting

    def told(value: Value) -> Value:
        return setting(value) if is_known(value) else value

    return Map({k: Secret(told(v.reveal())) if isinstance(v, Secret) else told(v) for k, v in env.items()})
