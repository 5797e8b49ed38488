"""What Terraform calls the cluster: Zilliz's own provider, ``zillizcloud_cluster``."""

from __future__ import annotations

from mlinfra.provider.terraform import TerraformType

CLUSTER = TerraformType(name="zillizcloud_cluster", attributes={"name": "", "clusterId": "id", "token": ""})
