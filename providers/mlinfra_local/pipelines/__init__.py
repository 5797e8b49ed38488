"""Pipelines through Dagster. Only subprocesses import :mod:`dagster`: mlinfra's own process never pays for it."""
