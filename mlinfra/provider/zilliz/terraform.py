"""What Terraform calls the cluster: Zilliz's own provider, ``zillizcloud_cluster``."""

from __future__ import annotations

from mlinfra.provider.terraform import TerraformType

CLUSTER = TerraformType(
    name="zillizcloud_cluster",
    attributes={
        "name": "",
        "clusterName": "cluster_name",
        "clusterId": "id",
        "projectId": "project_id",
        "regionId": "region_id",
        "cuType": "cu_type",
        "cuSize": "cu_size",
        "connectAddress": "connect_address",
        "token": "",
    },
)
