"""How fast mlinfra is, beside Terraform where that is installed: ``python -m benchmarks``. One file a workload."""
