"""botocore's data files: what AWS's services take and tell, how their lists are turned, and where they are.

They say much more than is ever asked: SageMaker's model alone has 3,200 shapes, of which a plan looks at some hundred. What is not asked
stays packed, and documentation is never read.
"""

from __future__ import annotations

import gzip
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from typing import Any

from mlinfra_aws.memory import give_back
from mlinfra_aws.packed import Packed

_DOCUMENTATION = re.compile(rb'"documentation"\s*:\s*"[^"\\]*(?:\\.[^"\\]*)*"')
"""A quotation mark inside a JSON text has a backslash before it: this matches keys and their values alone."""


class Operations:
    """A service's operations by name. They are listed to nobody: for each that is, botocore gives every client a method and documentation."""

    def __init__(self, operations: Mapping[str, Any]) -> None:
        self._operations = Packed(operations)

    def __getitem__(self, name: str) -> Any:
        return self._operations[name]

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def of_method(self, method: str) -> str | None:
        """The operation that a client's ``method`` would make."""
        from botocore import xform_name

        return next((name for name in self._operations if xform_name(name) == method), None)


@cache
def loader() -> Any:
    """The files, each read once, for the checks of a plan and the calls of an apply alike."""
    from botocore import loaders

    give_back()
    reading = threading.RLock()  # one thread at a time: what is packed can no longer be merged with what stands beside it

    class Undocumented(loaders.JSONFileLoader):  # type: ignore[misc]
        def load_file(self, file_path: str) -> Any:
            for name, opened in ((f"{file_path}.json", open), (f"{file_path}.json.gz", gzip.open)):
                with suppress(FileNotFoundError), opened(name, "rb") as file:
                    return json.loads(_DOCUMENTATION.sub(b'"documentation":""', file.read()))
            return None

    class Packing(loaders.Loader):  # type: ignore[misc]
        def load_service_model(self, service_name: str, type_name: str, api_version: str | None = None) -> Any:
            with reading:
                model = super().load_service_model(service_name, type_name, api_version)
                _pack(model, operations=Operations, shapes=Packed)
                return model

        def load_data_with_path(self, name: str) -> Any:
            with reading:
                data, path = super().load_data_with_path(name)
                if name == "endpoints":
                    for partition in data["partitions"]:
                        _pack(partition, services=Packed)
                return data, path

    return Packing(file_loader=Undocumented())


def _pack(data: dict[str, Any], **parts: Any) -> None:
    """Pack parts of what the loader keeps, unless it was done before."""
    for part, packed in parts.items():
        if isinstance(data.get(part), dict):
            data[part] = packed(data[part])


@cache
def service_model(service: str) -> Any:
    """botocore's model of a service (``service_model("s3").operation_model("CreateBucket")``): a data file, no credentials needed."""
    from botocore.model import ServiceModel

    return ServiceModel(loader().load_service_model(service, "service-2"), service)


def input_shape(service: str, operation: str) -> Any:
    """The shape of an operation's parameters; an empty structure's ``members`` when it takes none."""
    return service_model(service).operation_model(operation).input_shape


def pagination(service: str, operation: str) -> Mapping[str, Any] | None:
    """How the pages of a list call are turned; None for what has no pages, or none that botocore knows."""
    from botocore.exceptions import DataNotFoundError

    try:
        found: Mapping[str, Any] | None = loader().load_service_model(service, "paginators-1")["pagination"].get(operation)
    except DataNotFoundError:
        return None
    return found
