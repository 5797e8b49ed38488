"""``model_registry`` on docker: an MLflow server in a container, its database and artifacts in a volume."""

from __future__ import annotations

from mlinfra.kinds.model_registry import ModelRegistry
from mlinfra.model.values import Map, Ref
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra_docker.lowering.service import health_check, service
from mlinfra_docker.mlflow_api import ARTIFACTS

_PORT = 5000
_DATA = "/mlflow"
_HEALTHY = """\
python3 -c "
import sys, urllib.request
try:
    urllib.request.urlopen('http://localhost:5000/health', timeout=5)
except OSError as error:
    sys.exit(str(error))
"
"""


def lower(spec: ModelRegistry, context: LoweringContext) -> Lowered:
    """One ``docker.mlflow``. It listens on the stack's network under names that only that network knows, so that every host name is
    allowed; from outside it is reached on the engine's loopback alone, unless the settings say otherwise."""
    resource = service(
        context,
        "docker.mlflow",
        part="mlflow",
        command=(
            "mlflow", "server", "--host", "0.0.0.0", "--port", str(_PORT), "--workers", "1", "--allowed-hosts", "*",
            "--backend-store-uri", f"sqlite:///{_DATA}/mlflow.db",
            "--artifacts-destination", f"{_DATA}/{ARTIFACTS}", "--serve-artifacts",
        ),
        environment={"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"},
        target=_DATA,
        port=_PORT,
        published=spec.port,
        health=health_check(_HEALTHY, patience=300.0),
    )  # fmt: skip
    outputs = {"id": "Name", "name": "Name", "uri": "uri", "tracking_uri": "uri", "ui": "uri"}
    return Lowered(
        resources=(resource,),
        outputs=Map({output: Ref(context.address, (attribute,)) for output, attribute in outputs.items()}),
    )
