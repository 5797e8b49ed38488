"""Pipelines: every step a container. Only the containers of a schedule or a web page import :mod:`dagster`."""
