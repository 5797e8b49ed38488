"""What may stand under ``providers: {azure: …}``. Credentials come from azure-identity's own chain, never from here."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from mlinfra.provider.zilliz.settings import ZillizSettings
from mlinfra_azure.marks import is_ours

_GUID = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
_GROUP = r"^[-\w.()]{0,89}[-\w()]$"
"""https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules"""


def _tags(given: dict[str, str]) -> dict[str, str]:
    for key, value in given.items():
        if is_ours(key):
            raise ValueError(f"the tag {key!r} is mlinfra's own")
        if not key or len(key) > 128 or any(c in "<>%&\\?/" for c in key) or len(value) > 256:
            raise ValueError(f"{key}: a tag's name has 1 to 128 characters, none of <>%&\\?/, and its value at most 256")
    return given


class AzureConfig(BaseModel):
    """``subscription`` is its GUID; ``location`` where things are made that do not say otherwise.

    ``resource_group``, ``workspace`` and ``identity`` (ARM id: what jobs, machines and endpoints run as) are taken as they are where they are
    named; otherwise a project and environment has its own. ``cloud`` picks Azure's addresses, ``authority`` and ``endpoints`` (``arm``,
    ``registry``, ``blob``, which may hold ``{account}``) replace them one by one: Azure Stack, private endpoints, emulators.
    ``register_providers``: a resource provider that is not registered is registered; ``purge``: key vaults and workspaces that are
    deleted are purged too, so that their names are free again. ``network`` is the subnet (ARM id) in which machines are put, ``allow``
    says which ranges reach them; ``milvus_uri`` is where Milvus is reached (through a tunnel or a proxy) instead of at its machine,
    ``ray_dashboard`` the same for Ray;
    ``zilliz`` says how Zilliz Cloud is. ``images`` replaces public images; ``poll`` is the pause before an operation is looked at again
    at first, in seconds, where Azure does not say."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    subscription: Annotated[str, Field(pattern=_GUID)]
    location: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]+$")] = "eastus"
    resource_group: Annotated[str, Field(pattern=_GROUP)] | None = None
    workspace: Annotated[str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_-]{2,32}$")] | None = None
    tenant: str | None = None
    cloud: Literal["public", "china", "government"] = "public"
    authority: Annotated[str, Field(pattern=r"^https://\S+$")] | None = None
    endpoints: dict[str, str] = Field(default_factory=dict)
    tags: Annotated[dict[str, str], AfterValidator(_tags)] = Field(default_factory=dict)
    register_providers: bool = False
    purge: bool = False
    identity: str | None = None
    network: str | None = None
    allow: tuple[str, ...] = ()
    images: dict[str, str] = Field(default_factory=dict)
    zilliz: ZillizSettings = ZillizSettings()
    ray_dashboard: Annotated[str, Field(pattern=r"^https?://\S+$")] | None = None
    milvus_uri: Annotated[str, Field(pattern=r"^https?://\S+$")] | None = None
    poll: Annotated[float, Field(gt=0, le=60)] = 2.0
