"""The stack that stands for a small platform: thirteen objects of nine services, as many times over as is wanted."""

from __future__ import annotations

STACK = """\
version: 1
project: stack
variables:
  names: {{type: list, default: {names}}}
environments:
  dev: {{target: aws}}
providers:
  aws: {{region: us-east-1, endpoint_url: "{url}"}}
resources:
  raw:
    kind: aws.s3_bucket
    for_each: ${{vars.names}}
    BucketName: stack-${{each.value}}
    VersioningConfiguration: {{Status: Enabled}}
  worker:
    kind: aws.iam_role
    for_each: ${{vars.names}}
    RoleName: worker-${{each.value}}
    AssumeRolePolicyDocument:
      Version: "2012-10-17"
      Statement: [{{Effect: Allow, Principal: {{Service: sagemaker.amazonaws.com}}, Action: "sts:AssumeRole"}}]
  read:
    kind: aws.iam_policy
    for_each: ${{vars.names}}
    ManagedPolicyName: read-${{each.value}}
    PolicyDocument:
      Version: "2012-10-17"
      Statement: [{{Effect: Allow, Action: ["s3:GetObject"], Resource: "*"}}]
  may_read:
    kind: aws.iam_role_policy_attachment
    for_each: ${{vars.names}}
    RoleName: ${{worker[each.key].RoleName}}
    PolicyArn: ${{read[each.key].PolicyArn}}
  images:
    kind: aws.ecr_repository
    for_each: ${{vars.names}}
    RepositoryName: images/${{each.value}}
  model:
    kind: aws.sagemaker_model
    for_each: ${{vars.names}}
    ModelName: model-${{each.value}}
    ExecutionRoleArn: ${{worker[each.key].Arn}}
    PrimaryContainer: {{Image: "123456789012.dkr.ecr.us-east-1.amazonaws.com/serve:1", ModelDataUrl: "s3://models/1.tar.gz"}}
  config:
    kind: aws.sagemaker_endpoint_config
    for_each: ${{vars.names}}
    EndpointConfigName: config-${{each.value}}
    ProductionVariants:
      - {{VariantName: main, ModelName: "${{model[each.key].ModelName}}",
         InstanceType: ml.m5.large, InitialInstanceCount: 1, InitialVariantWeight: 1.0}}
  api:
    kind: aws.sagemaker_endpoint
    for_each: ${{vars.names}}
    EndpointName: api-${{each.value}}
    EndpointConfigName: ${{config[each.key].EndpointConfigName}}
  notebook:
    kind: aws.sagemaker_notebook_instance
    for_each: ${{vars.names}}
    NotebookInstanceName: lab-${{each.value}}
    InstanceType: ml.t3.medium
    RoleArn: ${{worker[each.key].Arn}}
  features:
    kind: aws.dynamodb_table
    for_each: ${{vars.names}}
    TableName: features-${{each.value}}
    BillingMode: PAY_PER_REQUEST
    AttributeDefinitions: [{{AttributeName: id, AttributeType: S}}]
    KeySchema: [{{AttributeName: id, KeyType: HASH}}]
  errors:
    kind: aws.cloudwatch_alarm
    for_each: ${{vars.names}}
    AlarmName: errors-${{each.value}}
    Namespace: AWS/SageMaker
    MetricName: Invocation5XXErrors
    Dimensions: [{{Name: EndpointName, Value: "${{api[each.key].EndpointName}}"}}]
    Statistic: Sum
    Period: 60
    EvaluationPeriods: 3
    Threshold: {threshold}
    ComparisonOperator: GreaterThanThreshold
  nightly:
    kind: aws.eventbridge_rule
    for_each: ${{vars.names}}
    Name: nightly-${{each.value}}
    ScheduleExpression: cron(0 3 * * ? *)
"""


def stack(url: str, count: int, threshold: int = 5) -> str:
    """The spec, ``count`` times over. A bucket with versioning counts as two objects, as Terraform has it."""
    return STACK.format(url=url, names="[" + ", ".join(f"s{n:02d}" for n in range(count)) + "]", threshold=threshold)
