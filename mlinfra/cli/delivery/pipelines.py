"""Pipeline files for GitHub, GitLab and Jenkins, from templates beside this file.

All three do the same: plan on a pull request and say it in one comment; keep the plan; on merge apply the very plan that was approved,
refused when something it depends on has moved since; look for drift every night.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import resources

from mlinfra.model.dataclass import dataclass
from mlinfra.model.patterns import pattern


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """``files``: path in the repository → template."""

    files: Mapping[str, str]
    next_steps: str


PIPELINES: Mapping[str, Host] = {
    "github": Host(
        files={".github/workflows/mlinfra.yml": "github.yml"},
        next_steps="Next: commit it, and protect the environment that it names (Settings, Environments, Required reviewers). docs/ci.md",
    ),
    "gitlab": Host(
        files={".gitlab-ci.yml": "gitlab.yml"},
        next_steps="Next: commit it, give MLINFRA_GITLAB_TOKEN (api scope), and a pipeline schedule with MLINFRA_DRIFT=true. docs/ci.md",
    ),
    "jenkins": Host(
        files={"Jenkinsfile": "Jenkinsfile"}, next_steps="Next: commit it and make a multibranch pipeline. docs/ci.md"
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """``folder`` of the spec below the repository's root, ``environment`` to plan (both may be empty), ``cloud`` to sign in to."""

    folder: str = ""
    environment: str = ""
    cloud: str = ""
    branch: str = "main"


def render(host: str, pipeline: Pipeline) -> dict[str, str]:
    """The files by name."""
    return {name: _filled(_template(template), pipeline) for name, template in PIPELINES[host].files.items()}


def _template(name: str) -> str:
    return resources.files("mlinfra.cli.delivery").joinpath("templates", name).read_text(encoding="utf-8")


_BLOCK = pattern(r"^[ \t]*(?:#|//)<(?P<cloud>[a-z]+)\n(?P<body>.*?)^[ \t]*(?:#|//)>\n", re.DOTALL | re.MULTILINE)


def _filled(text: str, p: Pipeline) -> str:
    """``@NAME@`` replaced, and of the blocks ``#<aws … #>`` the chosen cloud's kept (``#<any``: for any cloud)."""
    text = _BLOCK.sub(lambda m: m["body"] if m["cloud"] == p.cloud or (m["cloud"] == "any" and p.cloud) else "", text)
    where = f" -C {p.folder}" if p.folder else ""
    values = {
        "FOLDER": p.folder or ".",
        "OPTIONS": where + (f" --env {p.environment}" if p.environment else ""),
        "ENVIRONMENT": p.environment or "default",
        "BRANCH": p.branch,
        "EXTRA": f"mlinfra-iac[{p.cloud}]" if p.cloud else "mlinfra-iac[all]",
        "PATHS": f"{p.folder}/**" if p.folder else "**",
    }
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text
