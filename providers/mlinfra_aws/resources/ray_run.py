"""``aws.ray_run``: a training job on a Ray cluster of EC2 machines, its results in a bucket."""

from __future__ import annotations

from mlinfra.provider.runs.ray_job import RayRun


class AwsRayRun(RayRun):
    package = "mlinfra_aws"
    scheme = "s3://"
    tunnel = (
        "from outside its network, forward port 8265 (aws ssm start-session … AWS-StartPortForwardingSession), "
        "and say providers: {aws: {ray_dashboard: http://127.0.0.1:8265}}"
    )


RUN = AwsRayRun()
