"""``image`` in a cloud: built by the local Docker engine, pushed to the cloud's registry, read back over the registry's own HTTP API. A
cloud says which repository and with what token; ECR, Artifact Registry and ACR are alike in everything else."""
