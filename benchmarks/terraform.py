"""Terraform as a peer: where it is, and how its commands are spelled."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from pathlib import Path

from benchmarks.measuring import ENVIRONMENT, Figures, measure

BINARY = shutil.which("terraform")
MIRRORS = ("~/.terraform.d/plugins", "/usr/local/share/terraform/plugins", "/usr/share/terraform/plugins", "/opt/*")
"""Where a folder of provider plugins may be that needs no network; TF_PLUGIN_MIRROR comes first."""


def mirror() -> Path | None:
    """A folder of plugins that has the AWS provider."""
    named = os.environ.get("TF_PLUGIN_MIRROR")
    places = [Path(named)] if named else []
    for pattern in MIRRORS:
        expanded = Path(pattern).expanduser()
        places += sorted(expanded.parent.glob(expanded.name)) if expanded.parent.is_dir() else []
    return next((place for place in places if any(place.glob("*/hashicorp/aws/*/*/terraform-provider-aws*"))), None)


class Terraform:
    """Terraform in one folder. Nothing is fetched: plugins come from ``plugins``."""

    def __init__(self, folder: Path, plugins: Path | None = None) -> None:
        assert BINARY is not None
        self.folder = folder
        self.binary = BINARY
        settings = folder / "terraform.rc"
        if plugins is None:
            settings.write_text("")
        else:
            settings.write_text(f'provider_installation {{\n  filesystem_mirror {{\n    path = "{plugins}"\n  }}\n}}\n')
        self.environment = {**ENVIRONMENT, "TF_CLI_CONFIG_FILE": str(settings)}
        self.run("init", "-input=false")

    def run(self, *words: str) -> Figures:
        return measure([self.binary, *words], self.folder, self.environment)

    def validate(self) -> Figures:
        return self.run("validate")

    def plan(self, *more: str) -> Figures:
        return self.run("plan", "-input=false", *more)

    def apply(self, *more: str) -> Figures:
        return self.run("apply", "-auto-approve", "-input=false", *more)

    def destroy(self) -> Figures:
        return self.run("destroy", "-auto-approve", "-input=false")


def write_state(folder: Path, values: dict[str, str], needs: dict[str, list[str]]) -> None:
    """The state that an apply of ``terraform_data`` resources leaves, which Terraform itself would take an hour to write for
    10,000: it writes all of it after each."""
    resources = []
    for name, value in sorted(values.items()):
        kept = {"value": value, "type": "string"}
        attributes = {"id": str(uuid.uuid4()), "input": kept, "output": kept, "triggers_replace": None}
        made = {"schema_version": 0, "attributes": attributes, "sensitive_attributes": []}
        if needs.get(name):
            made["dependencies"] = [f"terraform_data.{need}" for need in needs[name]]
        provider = 'provider["terraform.io/builtin/terraform"]'
        resources.append({"mode": "managed", "type": "terraform_data", "name": name, "provider": provider, "instances": [made]})
    state = {"version": 4, "serial": len(values) + 1, "lineage": str(uuid.uuid4()), "outputs": {}, "resources": resources}
    (folder / "terraform.tfstate").write_text(json.dumps(state))
