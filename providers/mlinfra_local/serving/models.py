"""MLflow models in this process: loaded from their folders, scored by MLflow's own protocol."""

from __future__ import annotations

import json
import logging
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_log = logging.getLogger("mlinfra.serving")
_loading = threading.Lock()
_code_roots: set[Path] = set()


class LoadError(Exception):
    """A model cannot be loaded; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Reply:
    """``body`` is JSON."""

    status: int
    body: str


class Model:
    """One loaded model. Safe to call from several threads when the model itself is."""

    def __init__(self, pyfunc: Any) -> None:
        self._pyfunc = pyfunc
        self._input_schema = pyfunc.metadata.get_input_schema()

    def score(self, body: bytes, content_type: str) -> Reply:
        """Answer one request as MLflow's scoring server would: ``dataframe_split``, ``dataframe_records``, ``instances``,
        ``inputs``, ``text/csv``, parquet. A bad request is a 4xx with ``error_code`` and ``message``.

        Source: ``mlflow.pyfunc.scoring_server``."""
        from mlflow.exceptions import MlflowException
        from mlflow.pyfunc import scoring_server

        try:
            result = scoring_server.invocations(body, content_type, self._pyfunc, self._input_schema)
        except MlflowException as error:
            if getattr(error, "stack_trace", None):
                _log.warning("%s", error.stack_trace)
            return Reply(error.get_http_status_code(), _error(error.error_code, error.message))
        except Exception as error:  # noqa: BLE001 - a model is somebody else's code: whatever it raises is its answer
            _log.exception("the model failed")
            return Reply(500, _error("INTERNAL_ERROR", f"{type(error).__name__}: {error}"))
        return Reply(result.status, result.response if result.status == 200 else _error("BAD_REQUEST", result.response))


def load(path: str, label: str) -> Model:
    """Load the model folder at ``path``; LoadError when it cannot be loaded. ``label`` names it in errors."""
    folder = Path(path)
    if not (folder / "MLmodel").is_file():
        raise LoadError(f"{label}: {folder} holds no MLmodel file")
    with _loading:
        _forget_modules_of_other_models()
        try:
            from mlflow import pyfunc

            loaded = pyfunc.load_model(path)
        except Exception as error:
            _log.exception("%s cannot be loaded", label)
            raise LoadError(f"{label} cannot be loaded: {type(error).__name__}: {error}") from error
        _code_roots.add(folder.resolve())
    return Model(loaded)


def _forget_modules_of_other_models() -> None:
    """Two versions of a model bring their code under the same module names: each must import its own. Models that are loaded
    keep the module objects that they hold."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and any(Path(file).is_relative_to(root) for root in _code_roots):
            del sys.modules[name]


def _error(code: str, message: str) -> str:
    return json.dumps({"error_code": code, "message": message})
