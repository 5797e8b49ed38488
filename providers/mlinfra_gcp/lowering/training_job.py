"""``training_job`` on GCP: a custom job of Vertex AI for each fingerprint."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

from mlinfra.kinds.training_job import TrainingJob
from mlinfra.model.values import EMPTY, Map, Value
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.runs.lowering import job, job_outputs
from mlinfra_gcp.lowering.common import given, image, labels, own, parent, run_bucket

_DEFAULT = Map(machineType="n1-standard-4")


def lower(spec: TrainingJob, context: LoweringContext) -> Lowered:
    """A ``gcp.training_run`` and the ``gcp.storage_bucket`` of its own that it leaves its results in."""
    cluster = spec.cluster if isinstance(spec.cluster, Mapping) else EMPTY
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
        raise context.error(
            "gcp.job_on_machines",
            "a training_job on gcp runs on managed hardware, not on a Ray cluster of one's own",
            path=("cluster",),
            hint="leave engine out of the training_cluster (or write managed); submit to your own machines with their own tools",
        )
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
