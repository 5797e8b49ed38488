"""``azure.ray_run``: a training job on a Ray cluster of virtual machines, its results in the environment's container."""

from __future__ import annotations

from mlinfra.provider.runs.ray_job import RayRun


class AzureRayRun(RayRun):
    package = "mlinfra_azure"
    scheme = ""
    tunnel = (
        "from outside its network, open it by the setting allow, or forward port 8265 (az network bastion tunnel …) "
        "and say providers: {azure: {ray_dashboard: http://127.0.0.1:8265}}"
    )


RUN = AzureRayRun()
