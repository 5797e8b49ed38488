"""``data`` as a pydantic model, for those who show its fields (schemas, ``explain``) and say what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import ConfigDict

from mlinfra.kinds.base import Kind
from mlinfra.kinds.data import Data


class DataForm(Kind):
    __doc__ = Data.__doc__

    model_config = ConfigDict(title="Data")

    summary: ClassVar[str] = Data.summary
    outputs: ClassVar[Mapping[str, str]] = Data.outputs

    input: Any = None
    triggers_replace: Any = None
