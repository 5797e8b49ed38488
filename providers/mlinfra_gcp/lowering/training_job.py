"""``training_job`` on GCP: a job of a Ray cluster; else a custom job of Vertex AI, one for each fingerprint."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

from mlinfra.kinds.training_job import TrainingJob
from mlinfra.model.values import EMPTY, Map, Value
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.lowerings import given, own
from mlinfra.provider.runs.lowering import job, job_outputs, ray_job
from mlinfra_gcp.lowering.common import image, labels, named, parent, run_bucket

_DEFAULT = Map(machineType="n1-standard-4")


def lower(spec: TrainingJob, context: LoweringContext) -> Lowered:
    """A ``gcp.training_run``, or on a Ray cluster a ``gcp.ray_run``, and the ``gcp.storage_bucket`` of its own that it leaves its results in."""
    cluster = spec.cluster if isinstance(spec.cluster, Mapping) else EMPTY
    if cluster.get("engine") == "ray":
        dashboard = context.settings.get("ray_dashboard") or cluster["dashboard"]
        where = {"bucket": own(context, "name", role="bucket"), "dashboard": dashboard}
        lowered = ray_job(spec, context, type="gcp.ray_run", name=spec.name or named(context), where=where)
        return Lowered(resources=(run_bucket(context), *lowered.resources), outputs=lowered.outputs)
    hardware = _hardware(cluster.get("address"), context)
    machine: Map = hardware.get("machine", _DEFAULT)
    default = image(context, "gpu" if "acceleratorType" in machine else "cpu")
    found = {k: v for k, v in job(spec, context).items() if k != "cluster"}
    resource = context.resource(
        "gcp.training_run",
        {
            **found,
            "bucket": own(context, "name", role="bucket"),
            "parent": parent(context),
            "image": spec.image or default,
            "machine": machine,
            **given(
                labels=labels(context),
                scheduling=hardware.get("scheduling"),
                disk=hardware.get("disk"),
                persistent_resource=hardware.get("persistent"),
                service_account=context.settings.get("service_account"),
                cluster=cluster.get("name"),
            ),
        },
    )
    return Lowered(resources=(run_bucket(context), resource), outputs=job_outputs(context))


def _hardware(address: Value, context: LoweringContext) -> dict[str, Value]:
    """What a cluster's address says (:func:`mlinfra_gcp.lowering.training_cluster.address`)."""
    if address is None:
        return {}
    if isinstance(address, str) and address.startswith("tpu://"):
        raise context.error(
            "gcp.job_on_slice",
            "a TPU slice that stands by itself takes no jobs: it is a machine to log in to",
            path=("cluster",),
            hint="write nodes: {min: 0} in the training_cluster: then Vertex AI brings up the TPU for each job, and nothing stands between",
        )
    if not isinstance(address, str) or not address.startswith("vertex://"):
        raise context.error("gcp.unknown_cluster", "the cluster's engine must be known at plan time", path=("cluster",))
    url = urlsplit(address)
    query = {k: v[0] for k, v in parse_qs(url.query).items()}
    machine: dict[str, Value] = {"machineType": url.path.strip("/")}
    if "accelerator" in query:
        machine |= {"acceleratorType": query["accelerator"], "acceleratorCount": int(query["count"])}
    if "topology" in query:
        machine["tpuTopology"] = query["topology"]
    found: dict[str, Value] = {"machine": Map(machine)}
    if query.get("spot"):
        found["scheduling"] = Map(strategy="SPOT")
    if "disk" in query:
        found["disk"] = int(query["disk"])
    if "persistent" in query:
        found["persistent"] = query["persistent"]
    return found
