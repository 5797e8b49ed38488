"""The Milvus provider: collections and aliases in any Milvus: Lite, standalone, cluster, Zilliz Cloud."""
