"""What a workspace or a registry keeps: ``azure.ml_model`` and ``azure.ml_model_version``, and the same of data, environments,
components and code.

A version's content never changes; tags, description, stage and archiving do. https://learn.microsoft.com/azure/machine-learning/concept-ml-pipelines
"""

from __future__ import annotations

from mlinfra.model.values import Map
from mlinfra_azure.engine.resource import TableType
from mlinfra_azure.names import type_of
from mlinfra_azure.table import Row

_ML = "Microsoft.MachineLearningServices/workspaces"
_CONTENT = "a version never changes its content ({})"
_NAME = (r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,254}", "1 to 255 letters, digits, . _ and -")
_CHANGING = {"description", "tags", "properties", "isArchived", "stage"}


class Asset(TableType):
    """The name under which versions lie: ``folder`` is ``models``, ``data``, ``environments``, ``components`` or ``codes``."""

    def __init__(self, type: str, folder: str) -> None:
        super().__init__(
            Row(
                type=type, arm=f"{_ML}/{folder}", marks="properties.tags", name_rule=_NAME,
                fixed={"dataType": "all versions of data are of one type"} if folder == "data" else {},
                outputs={"latestVersion": "properties.latestVersion"}, volatile=("latestVersion",), holds_data=True,
            )
        )  # fmt: skip

    def validate(self, attributes: Map) -> list[tuple[tuple[str | int, ...], str]]:
        found = [*super().validate(attributes)]
        parent = attributes.get("parent")
        if (
            isinstance(parent, str)
            and parent.startswith("/")
            and type_of(parent) not in (_ML, "Microsoft.MachineLearningServices/registries")
        ):
            found.append((("parent",), f"{parent!r} is neither a workspace nor a registry"))
        return found


class AssetVersion(TableType):
    """One version. ``name`` is the version, ``parent`` the id of what it is one of."""

    def __init__(self, type: str, folder: str) -> None:
        row = Row(type=type, arm=f"{_ML}/{folder}/versions")
        content = [n for n in row.places if n not in _CHANGING]
        super().__init__(
            Row(
                type=type, arm=row.arm, marks="properties.tags", name_rule=_NAME, create_first=True,
                fixed={n: _CONTENT.format(row.contract.cited) for n in content},
            )
        )  # fmt: skip


class MlModel(Asset):
    def __init__(self) -> None:
        super().__init__("azure.ml_model", "models")


class MlModelVersion(AssetVersion):
    def __init__(self) -> None:
        super().__init__("azure.ml_model_version", "models")


class MlData(Asset):
    def __init__(self) -> None:
        super().__init__("azure.ml_data", "data")


class MlDataVersion(AssetVersion):
    def __init__(self) -> None:
        super().__init__("azure.ml_data_version", "data")


class MlEnvironment(Asset):
    def __init__(self) -> None:
        super().__init__("azure.ml_environment", "environments")


class MlEnvironmentVersion(AssetVersion):
    def __init__(self) -> None:
        super().__init__("azure.ml_environment_version", "environments")


class MlComponent(Asset):
    def __init__(self) -> None:
        super().__init__("azure.ml_component", "components")


class MlComponentVersion(AssetVersion):
    def __init__(self) -> None:
        super().__init__("azure.ml_component_version", "components")


class MlCode(Asset):
    def __init__(self) -> None:
        super().__init__("azure.ml_code", "codes")


class MlCodeVersion(AssetVersion):
    def __init__(self) -> None:
        super().__init__("azure.ml_code_version", "codes")
