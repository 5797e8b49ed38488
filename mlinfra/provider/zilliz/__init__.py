"""Zilliz Cloud, managed Milvus that runs in every cloud's regions: settings, client, native type and lowering, which each cloud's
provider offers under its own name (``aws.zilliz_cluster``)."""
