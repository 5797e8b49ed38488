"""``gcp.ray_run``: a training job on a Ray cluster of Compute Engine's machines, its results in a bucket."""

from __future__ import annotations

from mlinfra.provider.runs import ray_job
from mlinfra_gcp.containers import GS, PACKAGE


class RayRun(ray_job.RayRun):
    """See :class:`mlinfra.provider.runs.ray_job.RayRun`."""

    package = PACKAGE
    scheme = GS
    tunnel = (
        "give the ranges that may reach it (providers: {gcp: {allow: [203.0.113.7/32]}}); or forward its port (gcloud compute ssh HEAD "
        "--tunnel-through-iap -- -L 8265:localhost:8265) and say providers: {gcp: {ray_dashboard: http://127.0.0.1:8265}}"
    )
