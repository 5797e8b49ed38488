"""Terraform's side of `crash.py`: the same kills of the same kind of work, counted in the same way.

Target `aws`: the same buckets, roles and models by Terraform's AWS provider, which must be within reach: in a mirror on this machine
(``TF_PLUGIN_MIRROR``) or by `terraform init`'s own ways. Target `local`: the built-in ``terraform_data`` (no plugin needed), of which
every object runs a command that makes a file, as a provider makes an object.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crash_targets import IMAGE, KEYS, TRUST, WORDS, Target

_NAMES = {kind.replace(".", "_"): word for kind, word in WORDS.items()}


def environment() -> dict[str, str]:
    """What Terraform is started with."""
    env = {"CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1"}
    if mirror := os.environ.get("TF_PLUGIN_MIRROR", ""):
        file = Path(tempfile.gettempdir()) / f"mlinfra-crash-{os.getpid()}.tfrc"
        file.write_text(f'provider_installation {{\n  filesystem_mirror {{\n    path = "{mirror}"\n  }}\n}}\n')
        env["TF_CLI_CONFIG_FILE"] = str(file)
    return env


def configuration(target: str, objects: int, state: Mapping[str, Any], env: Mapping[str, str]) -> str:
    """A whole main.tf."""
    return f"{_backend(state)}{_local(objects) if target == 'local' else _aws(objects, env['AWS_ENDPOINT_URL'])}"


def known(target: str, state: str) -> list[str]:
    """What the state says that it made, as :func:`standing` calls it."""
    found: list[str] = []
    for resource in json.loads(state)["resources"] if state.strip() else []:
        for instance in resource["instances"]:
            word = _NAMES.get(resource["type"])
            found.append(f"{word} {instance['attributes']['id']}" if word else str(instance["index_key"]))
    return found


def standing(target: Target, folder: Path, env: Mapping[str, str]) -> list[str]:
    """What it made, whether it knows or not."""
    if target.name == "local":
        return [p.name.partition("-")[0] for p in (folder / "world").glob("*")]
    return target.standing(folder, env)


def _backend(state: Mapping[str, Any]) -> str:
    if state["store"] == "local":
        return ""
    return f"""\
terraform {{
  backend "s3" {{
    bucket                      = "{state["bucket"]}"
    key                         = "{state["prefix"]}terraform.tfstate"
    region                      = "us-east-1"
    access_key                  = "{KEYS["AWS_ACCESS_KEY_ID"]}"
    secret_key                  = "{KEYS["AWS_SECRET_ACCESS_KEY"]}"
    use_lockfile                = true
    use_path_style              = true
    skip_credentials_validation = true
    skip_metadata_api_check     = true
    skip_requesting_account_id  = true
    endpoints                   = {{ s3 = "{state["endpoint_url"]}" }}
  }}
}}
"""


def _local(objects: int) -> str:
    return f"""\
resource "terraform_data" "o" {{
  count = {objects}
  provisioner "local-exec" {{
    command = "mkdir -p world && mktemp world/${{count.index}}-XXXXXXXX"
  }}
}}
"""


def _aws(objects: int, endpoint: str) -> str:
    return f"""\
provider "aws" {{
  region                      = "us-east-1"
  access_key                  = "{KEYS["AWS_ACCESS_KEY_ID"]}"
  secret_key                  = "{KEYS["AWS_SECRET_ACCESS_KEY"]}"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  s3_use_path_style           = true
  endpoints {{
    s3        = "{endpoint}"
    iam       = "{endpoint}"
    sagemaker = "{endpoint}"
    sts       = "{endpoint}"
  }}
}}
resource "aws_s3_bucket" "b" {{
  count  = {(objects + 2) // 3}
  bucket = "crash-${{count.index}}"
}}
resource "aws_iam_role" "r" {{
  count              = {(objects + 1) // 3}
  name               = "crash-${{count.index}}"
  assume_role_policy = {json.dumps(json.dumps(TRUST))}
}}
resource "aws_sagemaker_model" "m" {{
  count              = {objects // 3}
  name               = "crash-${{count.index}}"
  execution_role_arn = aws_iam_role.r[count.index].arn
  primary_container {{
    image          = "{IMAGE}"
    model_data_url = "s3://${{aws_s3_bucket.b[count.index].bucket}}/model.tar.gz"
  }}
}}
"""
