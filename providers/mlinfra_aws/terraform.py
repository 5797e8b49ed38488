"""What Terraform calls our AWS types and their properties: HashiCorp's AWS provider 5, by its documentation. Pure data and reshaping.

CloudFormation has maps where Terraform has blocks (lists of one), and documents where Terraform has JSON text; the rest is the same
name in snake_case."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

from mlinfra.model.values import DEFERRED, UNKNOWN, Map, Secret, SecretDigest, Value, thaw, within
from mlinfra.provider.terraform import Beside, Shape, TerraformType, block, inner, snake
from mlinfra.provider.zilliz.terraform import CLUSTER


def _document(value: Value) -> Value:
    """A policy as JSON text; unknown as long as a part of it is."""
    if isinstance(value, (str, *DEFERRED)):
        return value
    parts = list(within(value))
    if any(isinstance(p, (Secret, SecretDigest)) for p in parts):
        return Secret(None)
    return UNKNOWN if any(isinstance(p, DEFERRED) for p in parts) else json.dumps(thaw(value))


def _tags(value: Value) -> Value:
    if isinstance(value, tuple):
        return Map({t["Key"]: t.get("Value") for t in value if isinstance(t, Map) and isinstance(t.get("Key"), str)})
    return value


def _reshaped(changes: Mapping[str, tuple[str, Callable[[Value], Value]]]) -> Shape:
    """A shape of attribute → (theirs, function)."""
    known = {"Tags": ("tags", _tags), **changes}
    return lambda a: {theirs: change(a[ours]) for ours, (theirs, change) in known.items() if ours in a}


def _type(
    name: str,
    attributes: Mapping[str, str] | None = None,
    *,
    blocks: Sequence[str] = (),
    documents: Mapping[str, str] | None = None,
    more: Mapping[str, tuple[str, Callable[[Value], Value]]] | None = None,
    beside: tuple[Beside, ...] = (),
) -> TerraformType:
    """``blocks`` become lists of blocks, ``documents`` JSON text under the name given, ``more`` whatever its function says."""
    renamed = dict(attributes or {})
    changes = {ours: (renamed.get(ours, snake(ours)), block) for ours in blocks}
    changes |= {ours: (theirs, _document) for ours, theirs in (documents or {}).items()}
    changes |= dict(more or {})
    hidden = {ours: "" for ours, (theirs, _) in changes.items() if theirs != snake(ours)}
    return TerraformType(name=name, attributes={**renamed, **hidden}, shape=_reshaped(changes), beside=beside)


def _versioning(value: Value) -> Value:
    if not isinstance(value, Map):
        return value
    status = value.get("Status")
    return (Map({"enabled": status if isinstance(status, DEFERRED) else status == "Enabled", "mfa_delete": False}),)


def _encryption(value: Value) -> Value:
    if not isinstance(value, Map):
        return value
    rules = value.get("ServerSideEncryptionConfiguration", ())
    found = []
    for rule in rules if isinstance(rules, tuple) else ():
        default = rule.get("ServerSideEncryptionByDefault", Map())
        inner = Map({"sse_algorithm": default.get("SSEAlgorithm"), "kms_master_key_id": default.get("KMSMasterKeyID", "")})
        blocks = {"apply_server_side_encryption_by_default": (inner,), "bucket_key_enabled": rule.get("BucketKeyEnabled", False)}
        found.append(Map(blocks))
    return (Map({"rule": tuple(found)}),)


def _logging(value: Value) -> Value:
    if not isinstance(value, Map):
        return value
    return (Map({"target_bucket": value.get("DestinationBucketName"), "target_prefix": value.get("LogFilePrefix", "")}),)


def _lifecycle(value: Value) -> Value:
    if not isinstance(value, Map):
        return value
    rules = value.get("Rules", ())
    return tuple(_lifecycle_rule(r) for r in rules if isinstance(r, Map)) if isinstance(rules, tuple) else rules


def _lifecycle_rule(rule: Map) -> Map:
    out: dict[str, Value] = {
        "id": rule.get("Id", ""), "enabled": rule.get("Status") == "Enabled", "prefix": rule.get("Prefix", ""),
    }  # fmt: skip
    if "ExpirationInDays" in rule:
        out["expiration"] = (Map({"days": rule["ExpirationInDays"]}),)
    upload = rule.get("AbortIncompleteMultipartUpload")
    if isinstance(upload, Map):
        out["abort_incomplete_multipart_upload_days"] = upload.get("DaysAfterInitiation")
    old = rule.get("NoncurrentVersionExpiration")
    if isinstance(old, Map):
        out["noncurrent_version_expiration"] = (Map({"days": old.get("NoncurrentDays")}),)
    return Map(out)


def _public_access(attributes: Map) -> Mapping[str, Value] | None:
    found = attributes.get("PublicAccessBlockConfiguration")
    return inner(found) if isinstance(found, Map) else None


def _inline_policies(value: Value) -> Value:
    if not isinstance(value, tuple):
        return value
    return tuple(
        Map({"name": p.get("PolicyName"), "policy": _document(p.get("PolicyDocument"))}) if isinstance(p, Map) else p
        for p in value
    )


def _rules(value: Value) -> Value:
    """A security group's rules: one address range each in CloudFormation, lists in Terraform."""
    if not isinstance(value, tuple):
        return value
    found = []
    for rule in value:
        if isinstance(rule, Map):
            out = {
                "from_port": rule.get("FromPort"), "to_port": rule.get("ToPort"), "protocol": rule.get("IpProtocol"),
                "description": rule.get("Description", ""),
                "cidr_blocks": (rule["CidrIp"],) if "CidrIp" in rule else (),
                "ipv6_cidr_blocks": (rule["CidrIpv6"],) if "CidrIpv6" in rule else (),
            }  # fmt: skip
            found.append(Map(out))
    return tuple(found)


def _first(value: Value) -> Value:
    return value[0] if isinstance(value, tuple) and value else value


def _launch_template(attributes: Map) -> Mapping[str, Value]:
    """Terraform has the template's data at the top."""
    data = attributes.get("LaunchTemplateData")
    found = {"tags": _tags(attributes["Tags"])} if "Tags" in attributes else {}
    if not isinstance(data, Map):
        return found
    plain = {"SecurityGroupIds": "vpc_security_group_ids", "UserData": "user_data"}
    return {**found, **{plain.get(k, snake(k)): block(v) for k, v in data.items()}}


_ARN = {"Arn": "arn"}
_BUCKET = _type(
    "aws_s3_bucket",
    {"BucketName": "bucket", "DomainName": "bucket_domain_name", "RegionalDomainName": "bucket_regional_domain_name",
     "PublicAccessBlockConfiguration": ""},
    more={
        "VersioningConfiguration": ("versioning", _versioning),
        "BucketEncryption": ("server_side_encryption_configuration", _encryption),
        "LoggingConfiguration": ("logging", _logging),
        "LifecycleConfiguration": ("lifecycle_rule", _lifecycle),
    },
    beside=(Beside(name="aws_s3_bucket_public_access_block", parent="bucket", shape=_public_access),),
)  # fmt: skip

TYPES: Mapping[str, TerraformType] = {
    "aws.s3_bucket": _BUCKET,
    "aws.s3_object": _type("aws_s3_object", {"ETag": "etag", "SourceDigest": "source_hash", "Body": "content", "Uri": ""}),
    "aws.iam_role": _type(
        "aws_iam_role", {"RoleName": "name", "RoleId": "unique_id"},
        documents={"AssumeRolePolicyDocument": "assume_role_policy"}, more={"Policies": ("inline_policy", _inline_policies)},
    ),
    "aws.iam_policy": _type(
        "aws_iam_policy", {"ManagedPolicyName": "name", "PolicyArn": "arn"}, documents={"PolicyDocument": "policy"}
    ),
    "aws.iam_role_policy_attachment": _type("aws_iam_role_policy_attachment", {"RoleName": "role"}),
    "aws.iam_instance_profile": _type(
        "aws_iam_instance_profile", {"InstanceProfileName": "name"}, more={"Roles": ("role", _first)}
    ),
    "aws.ecr_repository": _type(
        "aws_ecr_repository", {"RepositoryName": "name", "RepositoryUri": "repository_url", "EmptyOnDelete": "force_delete"},
        blocks=("ImageScanningConfiguration", "EncryptionConfiguration"),
    ),
    "aws.security_group": _type(
        "aws_security_group", {"GroupName": "name", "GroupDescription": "description"},
        more={"SecurityGroupIngress": ("ingress", _rules), "SecurityGroupEgress": ("egress", _rules)},
    ),
    "aws.launch_template": TerraformType(
        name="aws_launch_template", attributes={"LaunchTemplateName": "name", "LaunchTemplateData": "",
                                                "LatestVersionNumber": "latest_version"}, shape=_launch_template,
    ),
    "aws.autoscaling_group": _type(
        "aws_autoscaling_group", {"AutoScalingGroupName": "name", "AutoScalingGroupARN": "arn",
                                  "VPCZoneIdentifier": "vpc_zone_identifier", "Tags": "tag"},
        blocks=("LaunchTemplate", "MixedInstancesPolicy"),
    ),
    "aws.instance": _type(
        "aws_instance", {"ImageId": "ami", "SecurityGroupIds": "vpc_security_group_ids", "PublicDnsName": "public_dns"},
        blocks=("MetadataOptions", "BlockDeviceMappings", "LaunchTemplate"),
    ),
    "aws.ebs_volume": _type("aws_ebs_volume", {"VolumeType": "type"}),
    "aws.volume_attachment": _type("aws_volume_attachment", {"Device": "device_name"}),
    "aws.sagemaker_model": _type(
        "aws_sagemaker_model", {"ModelName": "name", "ModelArn": "arn", "Containers": "container"},
        blocks=("PrimaryContainer", "Containers", "VpcConfig", "InferenceExecutionConfig"),
    ),
    "aws.sagemaker_endpoint_config": _type(
        "aws_sagemaker_endpoint_configuration", {"EndpointConfigName": "name", "EndpointConfigArn": "arn", "KmsKeyId": "kms_key_arn"},
        blocks=("ProductionVariants", "ShadowProductionVariants", "DataCaptureConfig", "AsyncInferenceConfig"),
    ),
    "aws.sagemaker_endpoint": _type(
        "aws_sagemaker_endpoint", {"EndpointName": "name", "EndpointArn": "arn", "DesiredWeightsAndCapacities": ""},
        blocks=("DeploymentConfig",),
    ),
    "aws.sagemaker_model_package_group": _type("aws_sagemaker_model_package_group", {"ModelPackageGroupArn": "arn"}),
    "aws.sagemaker_pipeline": _type(
        "aws_sagemaker_pipeline", {"PipelineArn": "arn"}, blocks=("ParallelismConfiguration",)
    ),
    "aws.sagemaker_notebook_instance": _type(
        "aws_sagemaker_notebook_instance", {"NotebookInstanceName": "name", "NotebookInstanceArn": "arn",
                                            "SecurityGroupIds": "security_groups", "VolumeSizeInGB": "volume_size"},
    ),
    "aws.sagemaker_mlflow_tracking_server": _type("aws_sagemaker_mlflow_tracking_server", {"TrackingServerArn": "arn"}),
    "aws.scheduler_schedule": _type("aws_scheduler_schedule", blocks=("FlexibleTimeWindow", "Target")),
    "aws.appautoscaling_target": _type("aws_appautoscaling_target"),
    "aws.appautoscaling_policy": _type(
        "aws_appautoscaling_policy", {"PolicyName": "name"}, blocks=("TargetTrackingScalingPolicyConfiguration",)
    ),
    "aws.cloudwatch_alarm": _type("aws_cloudwatch_metric_alarm"),
    "aws.eventbridge_rule": _type("aws_cloudwatch_event_rule", documents={"EventPattern": "event_pattern"}),
    "aws.dynamodb_table": _type(
        "aws_dynamodb_table", {"TableName": "name"}, blocks=("SSESpecification", "PointInTimeRecoverySpecification")
    ),
    "aws.secretsmanager_secret": _type("aws_secretsmanager_secret", {"Id": "arn", "SecretString": ""}),
    "aws.step_functions_state_machine": _type("aws_sfn_state_machine", {"StateMachineName": "name"}),
    "aws.zilliz_cluster": CLUSTER,
}  # fmt: skip
