"""ECR's own ways with images: tags are taken away one by one, and an image goes with its last."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mlinfra.provider.contract import ProviderContext
from mlinfra_aws.client import Aws
from mlinfra_aws.resources.image import IMAGE
from mlinfra_aws.settings import AwsConfig


def test_only_the_tags_of_the_image_go_and_a_gone_repository_is_no_error(tmp_path: Path) -> None:
    from live.aws.server import moto_aws

    with moto_aws() as recorded:
        config = AwsConfig(region="us-east-1", endpoint_url=recorded.url)
        client = Aws(config, ProviderContext(project="p", environment="e", base=tmp_path, data=tmp_path))
        uri = client.call("ecr", "CreateRepository", repositoryName="serve")["repository"]["repositoryUri"]
        manifest: dict[str, Any] = {"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json"}
        manifest |= {"config": {"mediaType": "c", "size": 1, "digest": "sha256:" + "0" * 64}, "layers": []}
        for tag in ("content", "mlinfra-op-1", "somebodys"):
            told = client.call("ecr", "PutImage", repositoryName="serve", imageManifest=json.dumps(manifest), imageTag=tag)
        digest = told["image"]["imageId"]["imageDigest"]
        login = IMAGE.login(client, uri)
        assert (login.repository, login.username, login.plain) == (uri, "AWS", False)
        IMAGE.untag(client, login, digest, ("content", "mlinfra-op-1"))
        left = client.call("ecr", "ListImages", repositoryName="serve")["imageIds"]
        assert [i["imageTag"] for i in left] == ["somebodys"]
        client.call("ecr", "DeleteRepository", repositoryName="serve", force=True)
        IMAGE.untag(client, login, digest, ("content",))
        assert recorded.invalid == []
