"""What moto lacks or lets pass, filled as botocore's models and AWS's documentation say.

``ANSWERS`` are whole operations that moto has not (they work on moto's own objects where it has such). ``GUARDS`` are refusals that AWS
makes and moto does not: a name that is taken, a role that cannot be taken on, a part that is still used. ``SWEEPS`` lets the tagging
API see what moto leaves out.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

from live.aws import cloudcontrol
from moto.core.exceptions import ServiceException
from moto.core.resource_tagging import TaggedResource
from moto.ecr.models import ecr_backends
from moto.events.models import events_backends
from moto.iam.models import iam_backends
from moto.s3.models import s3_backends
from moto.sagemaker.models import FakeEndpointConfig, SageMakerModelBackend, sagemaker_backends
from moto.sagemaker.models import Model as MotoModel

ACCOUNT = "123456789012"
P = Mapping[str, Any]


@dataclass
class Context:
    """Where a request goes. ``stores`` hold the objects of services that are not moto's. ``steps`` is how many looks a slow thing takes."""

    region: str = "us-east-1"
    stores: dict[str, dict[str, Any]] = field(default_factory=dict)
    steps: int = 0
    strict_roles: bool = True

    def at(self, region: str) -> Context:
        return Context(region, self.stores, self.steps, self.strict_roles)

    def store(self, name: str) -> dict[str, Any]:
        return self.stores.setdefault(f"{name} {self.region}", {})

    @property
    def sagemaker(self) -> Any:
        return sagemaker_backends[ACCOUNT][self.region]

    def arn(self, service: str, rest: str) -> str:
        return f"arn:aws:{service}:{self.region}:{ACCOUNT}:{rest}"


def refused(message: str, code: str = "ValidationException") -> ServiceException:
    return ServiceException(code, message)


def now() -> datetime:
    return datetime.now(UTC)


# SageMaker: operations that moto has not


def update_endpoint(p: P, c: Context) -> P:
    endpoint = c.sagemaker.endpoints.get(p["EndpointName"])
    if endpoint is None:
        raise refused(f'Could not find endpoint "{c.arn("sagemaker", "endpoint/" + p["EndpointName"])}".')
    config = c.sagemaker.endpoint_configs.get(p["EndpointConfigName"])
    if config is None:
        raise refused(
            f'Could not find endpoint configuration "{c.arn("sagemaker", "endpoint-config/" + p["EndpointConfigName"])}".'
        )
    endpoint.endpoint_config_name = p["EndpointConfigName"]
    endpoint.production_variants = endpoint._process_production_variants(config.production_variants)
    endpoint.data_capture_config = config.data_capture_config
    endpoint.last_modified_time = now()
    return {"EndpointArn": endpoint.arn}


def update_weights(p: P, c: Context) -> P:
    arn = c.sagemaker.update_endpoint_weights_and_capacities(p["EndpointName"], p["DesiredWeightsAndCapacities"])
    c.sagemaker.endpoints[p["EndpointName"]].last_modified_time = now()
    return {"EndpointArn": arn}


def delete_model_package(p: P, c: Context) -> None:
    name = p["ModelPackageName"]
    arn = c.sagemaker.model_package_name_mapping.get(name, name)
    if c.sagemaker.model_packages.pop(arn, None) is None:
        raise refused(f"Model Package {name} does not exist.")


def delete_model_package_group(p: P, c: Context) -> None:
    name = p["ModelPackageGroupName"].rpartition("/")[2]
    if name not in c.sagemaker.model_package_groups:
        raise refused(f"ModelPackageGroup {c.arn('sagemaker', 'model-package-group/' + name)} does not exist.")
    if any(x.model_package_group_name == name for x in c.sagemaker.model_packages.values()):
        raise refused("Model Package Group cannot be deleted: it still contains Model Packages.", "ConflictException")
    del c.sagemaker.model_package_groups[name]


def update_notebook_instance(p: P, c: Context) -> P:
    notebook = c.sagemaker.get_notebook_instance(p["NotebookInstanceName"])
    if notebook.status != "Stopped":
        raise refused(f"Status ({notebook.status}) not in ([Stopped]). Unable to update Notebook Instance ({notebook.arn})")
    for name, value in (("instance_type", "InstanceType"), ("role_arn", "RoleArn"), ("volume_size_in_gb", "VolumeSizeInGB"),
                        ("root_access", "RootAccess"), ("default_code_repository", "DefaultCodeRepository"),
                        ("lifecycle_config_name", "LifecycleConfigName")):  # fmt: skip
        if value in p:
            setattr(notebook, name, p[value])
    notebook.last_modified_time = now()
    return {}


def stop_training_job(p: P, c: Context) -> None:
    job = c.sagemaker.training_jobs.get(p["TrainingJobName"])
    if job is None:
        raise refused("Requested resource not found.")
    if job.training_job_status in ("Completed", "Failed", "Stopped"):
        raise refused(f"The request was rejected because the training job is in status {job.training_job_status}.")
    job.training_job_status = job.secondary_status = "Stopped"


def delete_training_job(p: P, c: Context) -> None:
    job = c.sagemaker.training_jobs.get(p["TrainingJobName"])
    if job is None:
        raise refused("Requested resource not found.")
    if job.training_job_status not in ("Completed", "Failed", "Stopped"):
        raise refused("The training job is still in progress.", "ResourceInUse")
    del c.sagemaker.training_jobs[p["TrainingJobName"]]


def create_monitoring_schedule(p: P, c: Context) -> P:
    name = p["MonitoringScheduleName"]
    if name in c.store("monitoring"):
        raise refused(f"Monitoring schedule {name} already exists", "ResourceInUse")
    arn = c.arn("sagemaker", f"monitoring-schedule/{name}")
    c.store("monitoring")[name] = {**p, "MonitoringScheduleArn": arn, "MonitoringScheduleStatus": "Scheduled",
                                   "CreationTime": now(), "LastModifiedTime": now()}  # fmt: skip
    return {"MonitoringScheduleArn": arn}


# SageMaker: MLflow tracking servers, which moto does not know at all


def create_tracking_server(p: P, c: Context) -> P:
    name = p["TrackingServerName"]
    if name in c.store("mlflow"):
        raise refused(f"Mlflow Tracking Server {name} already exists.", "ConflictException")
    arn = c.arn("sagemaker", f"mlflow-tracking-server/{name}")
    c.store("mlflow")[name] = {
        "TrackingServerSize": "Small",
        **{k: v for k, v in p.items() if k != "Tags"},
        "TrackingServerArn": arn,
        "TrackingServerStatus": "Created",
        "TrackingServerUrl": f"https://{c.region}.experiments.sagemaker.aws/#/{name}",
        "IsActive": "Active",
        "AutomaticModelRegistration": bool(p.get("AutomaticModelRegistration")),
        "CreationTime": now(),
        "LastModifiedTime": now(),
        "tags": list(p.get("Tags", ())),
    }
    return {"TrackingServerArn": arn}


def tracking_server(p: P, c: Context) -> dict[str, Any]:
    found = c.store("mlflow").get(p["TrackingServerName"])
    if found is None:
        raise refused(f"Mlflow Tracking Server {p['TrackingServerName']} does not exist.", "ResourceNotFound")
    return found  # type: ignore[no-any-return]


def update_tracking_server(p: P, c: Context) -> P:
    found = tracking_server(p, c)
    found.update({**p, "LastModifiedTime": now()})
    return {"TrackingServerArn": found["TrackingServerArn"]}


def delete_tracking_server(p: P, c: Context) -> P:
    found = tracking_server(p, c)
    del c.store("mlflow")[p["TrackingServerName"]]
    return {"TrackingServerArn": found["TrackingServerArn"]}


def list_tags(p: P, c: Context) -> P:
    return {"Tags": list(_tagged(p["ResourceArn"], c))}


def add_tags(p: P, c: Context) -> P:
    """moto appends; SageMaker replaces the value of a key that is there."""
    tags = _tagged(p["ResourceArn"], c)
    fresh = {t["Key"] for t in p["Tags"]}
    tags[:] = [t for t in tags if t["Key"] not in fresh] + list(p["Tags"])
    return {"Tags": list(tags)}


def delete_tags(p: P, c: Context) -> P:
    tags = _tagged(p["ResourceArn"], c)
    tags[:] = [t for t in tags if t["Key"] not in p["TagKeys"]]
    return {}


def _tagged(arn: str, c: Context) -> list[dict[str, str]]:
    kind, _, name = arn.rpartition(":")[2].partition("/")
    if kind == "mlflow-tracking-server":
        return tracking_server({"TrackingServerName": name}, c)["tags"]  # type: ignore[no-any-return]
    found = c.sagemaker._get_resource_from_arn(arn)
    if found is None:
        raise refused(f"Could not find {kind} '{arn}'.")
    if found.tags is None:
        found.tags = []
    return found.tags  # type: ignore[no-any-return]


# refusals


def taken(of: str, name: str, message: str, code: str = "ValidationException") -> Callable[[P, Context], None]:
    """The name stands already among moto's objects ``of``."""

    def guard(p: P, c: Context) -> None:
        if p.get(name) in getattr(c.sagemaker, of):
            raise refused(message.format(name=p[name]), code)

    return guard


def usable(role: str) -> Callable[[P, Context], None]:
    """The role exists and lets SageMaker take it on."""

    def guard(p: P, c: Context) -> None:
        arn = p.get(role)
        if arn is None or not c.strict_roles:
            return
        name = str(arn).rpartition("/")[2]
        found = next((r for r in iam_backends[ACCOUNT]["aws"].roles.values() if r.name == name), None)
        if found is None or "sagemaker.amazonaws.com" not in str(found.assume_role_policy_document):
            raise refused(
                f'Could not assume role {arn}. Please ensure that the role exists and allows principal "sagemaker.amazonaws.com" '
                "to assume the role."
            )

    return guard


def both(*guards: Callable[[P, Context], None]) -> Callable[[P, Context], None]:
    def guard(p: P, c: Context) -> None:
        for one in guards:
            one(p, c)

    return guard


def someone_elses_bucket(p: P, c: Context) -> None:
    if p["Bucket"].startswith("somebody-elses"):
        raise refused(
            "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a "
            "different name and try again.",
            "BucketAlreadyExists",
        )


def taken_group(p: P, c: Context) -> None:
    if p["ModelPackageGroupName"] in c.sagemaker.model_package_groups:
        raise refused(f"Model Package Group already exists: {p['ModelPackageGroupName']}")


def taken_scaling_group(p: P, c: Context) -> None:
    from moto.autoscaling.models import autoscaling_backends

    if p["AutoScalingGroupName"] in autoscaling_backends[ACCOUNT][c.region].autoscaling_groups:
        raise refused("AutoScalingGroup by this name already exists - A group with the name already exists", "AlreadyExists")


def update_cluster(p: P, c: Context) -> P:
    cluster = c.sagemaker.clusters.get(p["ClusterName"])
    if cluster is None:
        raise refused(f"Cluster {p['ClusterName']} not found", "ResourceNotFound")
    gone = set(p.get("InstanceGroupsToDelete", ()))
    groups = {g["InstanceGroupName"]: g for g in cluster.instance_groups if g["InstanceGroupName"] not in gone}
    for group in p.get("InstanceGroups", ()):
        count = {"CurrentCount": group["InstanceCount"], "TargetCount": group["InstanceCount"]}
        groups[group["InstanceGroupName"]] = {**{k: v for k, v in group.items() if k != "InstanceCount"}, **count}
    cluster.instance_groups = list(groups.values())
    return {"ClusterArn": cluster.arn}


ANSWERS: dict[str, Callable[[P, Context], Any]] = {
    **cloudcontrol.ANSWERS,
    "sagemaker:UpdateCluster": update_cluster,
    "sagemaker:UpdateEndpoint": update_endpoint,
    "sagemaker:UpdateEndpointWeightsAndCapacities": update_weights,
    "sagemaker:DeleteModelPackage": delete_model_package,
    "sagemaker:DeleteModelPackageGroup": delete_model_package_group,
    "sagemaker:UpdateNotebookInstance": update_notebook_instance,
    "sagemaker:StopTrainingJob": stop_training_job,
    "sagemaker:DeleteTrainingJob": delete_training_job,
    "sagemaker:CreateMonitoringSchedule": create_monitoring_schedule,
    "sagemaker:CreateMlflowTrackingServer": create_tracking_server,
    "sagemaker:DescribeMlflowTrackingServer": lambda p, c: {k: v for k, v in tracking_server(p, c).items() if k != "tags"},
    "sagemaker:UpdateMlflowTrackingServer": update_tracking_server,
    "sagemaker:DeleteMlflowTrackingServer": delete_tracking_server,
    "sagemaker:ListTags": list_tags,
    "sagemaker:AddTags": add_tags,
    "sagemaker:DeleteTags": delete_tags,
}


def tag_bucket(p: P, c: Context) -> None:
    """CreateBucket's tags, which moto passes over."""
    tags = (p.get("CreateBucketConfiguration") or {}).get("Tags")
    backend = s3_backends[ACCOUNT]["aws"]
    if tags and p["Bucket"] in backend.buckets:
        backend.put_bucket_tagging(p["Bucket"], {t["Key"]: t["Value"] for t in tags})


AFTER: dict[str, Callable[[P, Context], None]] = {"s3:CreateBucket": tag_bucket}
GUARDS: dict[str, Callable[[P, Context], None]] = {
    "sagemaker:CreateModel": both(
        usable("ExecutionRoleArn"), taken("_models", "ModelName", 'Cannot create already existing model "{name}".')
    ),
    "sagemaker:CreateEndpointConfig": taken(
        "endpoint_configs", "EndpointConfigName", 'Cannot create already existing endpoint configuration "{name}".'
    ),
    "sagemaker:CreateEndpoint": taken("endpoints", "EndpointName", 'Cannot create already existing endpoint "{name}".'),
    "sagemaker:CreateTrainingJob": both(
        usable("RoleArn"), taken("training_jobs", "TrainingJobName", "Job name must be unique: {name}", "ResourceInUse")
    ),
    "sagemaker:CreateNotebookInstance": usable("RoleArn"),
    "sagemaker:CreatePipeline": usable("RoleArn"),
    "sagemaker:CreateModelPackageGroup": taken_group,
    "sagemaker:CreateCluster": taken("clusters", "ClusterName", "Cluster {name} already exists.", "ResourceInUse"),
    "autoscaling:CreateAutoScalingGroup": taken_scaling_group,
    "s3:CreateBucket": someone_elses_bucket,
}


@contextmanager
def SWEEPS() -> Iterator[None]:
    """moto lets the tagging API see neither ECR's repositories nor IAM's policies and profiles, and endpoint configurations with a
    broken ARN."""
    from moto.resourcegroupstaggingapi.models import ResourceGroupsTaggingAPIBackend as Tagging

    whole = Tagging._get_resources_generator
    started = FakeEndpointConfig.__init__
    made = MotoModel.__init__

    def generator(self: Any, tag_filters: Any = None, resource_type_filters: Any = None, resource_arn_list: Any = None) -> Any:
        from moto.core.resource_tagging import make_tag_matcher, match_resource_type

        yield from whole(self, tag_filters, resource_type_filters, resource_arn_list)
        matches = make_tag_matcher(tag_filters)
        for resource in _missing(self.region_name):
            if resource.tags and matches(resource.tags) and match_resource_type(resource.resource_type, resource_type_filters):
                yield resource

    def repaired(self: Any, *args: Any, **kwargs: Any) -> None:
        started(self, *args, **kwargs)
        self.arn = self.endpoint_config_arn

    with patch.object(Tagging, "_get_resources_generator", generator), patch.object(FakeEndpointConfig, "__init__", repaired):
        yield
    del made


def _missing(region: str) -> Iterator[TaggedResource]:
    ecr = ecr_backends[ACCOUNT][region]
    for repository in ecr.repositories.values():
        tags = ecr.tagger.get_tag_dict_for_resource(repository.arn)
        yield TaggedResource(arn=repository.arn, tags=tags, resource_type="ecr:repository")
    events = events_backends[ACCOUNT][region]
    for bus in events.event_buses.values():
        for rule in bus.rules.values():
            yield TaggedResource(
                arn=rule.arn, tags=events.tagger.get_tag_dict_for_resource(rule.arn), resource_type="events:rule"
            )
    iam = iam_backends[ACCOUNT]["aws"]
    for policy in iam.managed_policies.values():
        if not policy.arn.startswith("arn:aws:iam::aws:"):
            yield TaggedResource(arn=policy.arn, tags=_dict(policy.tags), resource_type="iam:policy")
    for profile in iam.instance_profiles.values():
        yield TaggedResource(arn=profile.arn, tags=_dict(profile.tags), resource_type="iam:instance-profile")


def _dict(tags: Any) -> dict[str, str]:
    if isinstance(tags, Mapping):
        return {k: v["Value"] if isinstance(v, Mapping) else str(v) for k, v in tags.items()}
    return {t["Key"]: t["Value"] for t in tags or ()}


__all__ = ["ACCOUNT", "ANSWERS", "GUARDS", "SWEEPS", "Context", "SageMakerModelBackend", "refused", "s3_backends", "uuid"]
