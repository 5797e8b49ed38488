"""The work of Azure Machine Learning as ARM takes it: components, the pipeline that joins them, the command of a job. Pure.

Every job gets the archive with code and ``run.json``, mounts its inputs, and has one output, ``left``: the environment's container, into
which ``container/entry.py`` writes what the run gives, by content. A step that needs another's binds that one's ``left``: this is the order.
https://learn.microsoft.com/azure/machine-learning/reference-yaml-job-pipeline, https://learn.microsoft.com/rest/api/azureml/jobs
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mlinfra.model.values import Expr, Map, Value, is_known
from mlinfra.provider.runs.words import text

_SCHEMA = "https://azuremlschemas.azureedge.net/latest/commandComponent.schema.json"


def input_name(name: str) -> str:
    """An input of the user's as a job knows it: Azure takes letters, digits and ``_``, and we have inputs of our own."""
    return "in_" + "".join(c if c.isalnum() else "_" for c in name)


def after_name(step: str) -> str:
    return f"after_{step}"


def command(step: str, inputs: Iterable[str], above: Iterable[str]) -> str:
    """What the container runs: the archive is unpacked, and our program in it runs the step."""
    words = [f"'{name}={_in(input_name(name))}'" for name in inputs]
    before = next((f"'--store={_in(after_name(need))}'" for need in above), "")
    told = " ".join(filter(None, [before, *words]))
    return (
        f'd=$(mktemp -d) && tar xzf "{_in("archive")}" -C "$d" && '
        f'exec python3 "$d/entry.py" {step} "{_in("run")}" "${{{{outputs.left}}}}" {told}'
    ).rstrip()


def _in(name: str) -> str:
    return f"${{{{inputs.{name}}}}}"


def component(step: str, description: Mapping[str, Any], environment: Value) -> Map:
    """The ``componentSpec`` of a pipeline's step. Never reused by Azure: whether a step must run is told by its fingerprint."""
    inputs, above = sorted(description.get("inputs", ())), tuple(description.get("needs", ()))
    declared = {"archive": Map(type="uri_file"), "run": Map(type="string")}
    declared |= {input_name(name): Map(type="uri_folder") for name in inputs}
    declared |= {after_name(need): Map(type="uri_folder") for need in above}
    where = (
        f"azureml:{environment}"
        if isinstance(environment, str)
        else Expr("azureml:${environment}", ((("environment",), environment),))
    )
    return Map(
        {
            "$schema": _SCHEMA,
            "type": "command",
            "is_deterministic": False,
            "command": command(step, inputs, above),
            "environment": where,
            "inputs": Map(declared),
            "outputs": Map(left=Map(type="uri_folder")),
        }
    )


def left(paths: str) -> dict[str, Any]:
    """The output into which everything is written: the root of the datastore."""
    return {"jobOutputType": "uri_folder", "mode": "ReadWriteMount", "uri": paths}


def mounted(uri: str) -> dict[str, Any]:
    return {"jobInputType": "uri_folder", "mode": "ReadOnlyMount", "uri": uri}


def given_archive(uri: str, run: str) -> dict[str, Any]:
    return {
        "archive": {"jobInputType": "uri_file", "mode": "Download", "uri": uri},
        "run": {"jobInputType": "literal", "value": run},
    }


def pipeline(wanted: Mapping[str, Any], archive: str, folders: Mapping[str, Mapping[str, str]], run: str) -> dict[str, Any]:
    """The pipeline job of ``azure.pipeline_run``'s attributes. ``folders`` are the URIs of each step's inputs."""
    nodes: dict[str, Any] = {}
    for name, step in wanted["steps"].items():
        inputs: dict[str, Any] = {
            "archive": _literal("${{parent.inputs.archive}}"),
            "run": _literal("${{parent.inputs.run}}"),
        }
        inputs |= {input_name(n): _snake(mounted(uri)) for n, uri in folders.get(name, {}).items()}
        inputs |= {after_name(need): _literal(f"${{{{parent.jobs.{need}.outputs.left}}}}") for need in step.get("needs", ())}
        node: dict[str, Any] = {
            "name": name,
            "type": "command",
            "componentId": wanted["components"][name],
            "computeId": wanted["compute"],
            "inputs": inputs,
            "outputs": {"left": _snake(left(wanted["paths"]))},
            "resources": {"instance_count": 1},
            "_source": "REMOTE.WORKSPACE.COMPONENT",
        }
        if step.get("env"):
            node["environment_variables"] = environment(step["env"])
        if step.get("timeout"):
            node["limits"] = {"job_limits_type": "Command", "timeout": f"PT{round(step['timeout'])}S"}
        nodes[name] = node
    return {
        "jobType": "Pipeline",
        "displayName": str(wanted["name"]),
        "experimentName": str(wanted["name"]),
        "computeId": wanted["compute"],
        "identity": _identity(wanted),
        "inputs": given_archive(archive, run),
        "outputs": {},
        "settings": {"force_rerun": True, "_source": "mlinfra"},
        "jobs": nodes,
    }


def job(wanted: Mapping[str, Any], archive: str, folders: Mapping[str, str], run: str) -> dict[str, Any]:
    """The command job of ``azure.training_run``'s attributes: a process on each of ``processes`` machines."""
    processes = int(wanted.get("processes") or 1)
    body: dict[str, Any] = {
        "jobType": "Command",
        "displayName": str(wanted["name"]),
        "experimentName": str(wanted["name"]),
        "command": command("run", sorted(folders), ()),
        "environmentId": wanted["environment"],
        "computeId": wanted["compute"],
        "identity": _identity(wanted),
        "inputs": {**given_archive(archive, run), **{input_name(n): mounted(uri) for n, uri in folders.items()}},
        "outputs": {"left": left(wanted["paths"])},
        "resources": {"instanceCount": processes, "shmSize": "2g"},
    }
    if processes > 1:
        body["distribution"] = {"distributionType": "PyTorch", "processCountPerInstance": 1}
    if wanted.get("env"):
        body["environmentVariables"] = environment(wanted["env"])
    if wanted.get("timeout"):
        body["limits"] = {"jobLimitsType": "Command", "timeout": f"PT{round(wanted['timeout'])}S"}
    return body


def environment(env: Mapping[str, Value]) -> dict[str, Any]:
    """Environment variables as ARM takes them: texts."""
    return {name: text(value) if is_known(value) else value for name, value in env.items()}


def _identity(wanted: Mapping[str, Any]) -> dict[str, Any]:
    return {"identityType": "Managed", "resourceId": wanted["identity"]}


def _literal(value: str) -> dict[str, str]:
    return {"job_input_type": "literal", "value": value}


def _snake(node: Mapping[str, Any]) -> dict[str, Any]:
    """A pipeline's nodes are written in snake_case: ARM hands them on as they are."""
    names = {"jobInputType": "job_input_type", "jobOutputType": "job_output_type"}
    return {names.get(k, k): v for k, v in node.items()}
