"""The serving process of an endpoint: MLflow models behind ``/invocations``, started as ``python -m mlinfra_local.serving``.

The provider imports only :mod:`~mlinfra_local.serving.config` and :mod:`~mlinfra_local.serving.admin`; the rest runs in the process.
"""
