"""Runs one step or training job inside a SageMaker container: ``python3 entry.py STEP``. Standard library only; pandas for tables.

``run.json`` beside it says what to run. Where SageMaker puts inputs and takes outputs from:
https://docs.aws.amazon.com/sagemaker/latest/dg/build-your-own-processing-container.html and .../amazon-sagemaker-toolkits.html
"""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = Path(os.environ.get("MLINFRA_ML_ROOT", "/opt/ml"))


class Broken(Exception):
    """The run, or what it left, is not as it should be; the text is for people."""


def main(name):
    run = json.loads((HERE / "run.json").read_text())
    step = run["steps"][name]
    training = run["mode"] == "training"
    inputs = ROOT / ("input/data" if training else "processing/input")
    outputs = ROOT / ("model" if training else "processing/output")
    results = outputs / ("." if training else "mlinfra") / "results.json"
    try:
        if is_first():
            record = perform(step, run, inputs, outputs)
            results.parent.mkdir(parents=True, exist_ok=True)
            results.write_text(json.dumps(record, sort_keys=True))
        else:
            perform(step, run, inputs, outputs)
    except Broken as error:
        print(f"mlinfra: {error}", file=sys.stderr, flush=True)
        for place in (ROOT / "output/failure", ROOT / "output/message"):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(str(error)[:1000])
        return 1
    return 0


def perform(step, run, inputs, outputs):
    environment, places = prepare(step, inputs, outputs)
    if step["argv"]:
        install(run["requirements"])
        code = subprocess.run(step["argv"], cwd=HERE / "code", env=environment).returncode
        if code:
            raise Broken(f"`{' '.join(step['argv'])}` ended with exit code {code}")
    if not is_first():
        return None
    record = {"outputs": {}, "metrics": inherited(step, inputs)}
    for output in step["outputs"]:
        folder = outputs / output
        files = sorted(p for p in folder.rglob("*") if p.is_file())
        if not files:
            raise Broken(
                f"nothing was written to the output {output}: write into the folder that ${variable('OUTPUT', output)} names"
            )
        record["outputs"][output] = described(folder, files)
        if (folder / "metrics.json").is_file():
            record["metrics"].update(metrics(folder / "metrics.json"))
    check(step, record["metrics"], [outputs / o for o in step["outputs"]] or list(places))
    return record


def prepare(step, inputs, outputs):
    """The environment of the user's command, and where its inputs are."""
    environment = {**os.environ, **ranks()}
    environment["PYTHONPATH"] = os.environ.get("PYTHONPATH", "")
    places = []
    for name, uri in step["inputs"].items():
        place = inputs / name
        named = place / uri.rstrip("/").rpartition("/")[2]
        if named.is_file():  # the URI is that of one object
            place = named
        places.append(place)
        environment[variable("INPUT", name)] = str(place)
    for name in step["outputs"]:
        (outputs / name).mkdir(parents=True, exist_ok=True)
        environment[variable("OUTPUT", name)] = str(outputs / name)
    return environment, places


def ranks():
    config = ROOT / "input/config/resourceconfig.json"
    found = json.loads(config.read_text()) if config.is_file() else {}
    hosts = sorted(found.get("hosts", ["localhost"]))
    return {
        "MLINFRA_RANK": str(hosts.index(found.get("current_host", hosts[0]))),
        "MLINFRA_WORLD_SIZE": str(len(hosts)),
        "MLINFRA_HEAD": hosts[0],
    }


def is_first():
    return ranks()["MLINFRA_RANK"] == "0"


def install(requirements):
    if requirements:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements]
        if subprocess.run(command).returncode:
            raise Broken(f"the requirements cannot be installed: {', '.join(requirements)}")


def described(folder, files):
    """``digest`` is that of mlinfra.provider.files: over the names and the digest of each file's bytes."""
    whole = hashlib.sha256()
    sizes = {}
    for file in sorted(files, key=lambda f: f.relative_to(folder).as_posix()):
        name = file.relative_to(folder).as_posix()
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        whole.update(f"{name}\0{content}\n".encode("utf-8", "surrogateescape"))
        sizes[name] = file.stat().st_size
    return {"digest": f"sha256:{whole.hexdigest()}", "files": sizes}


def metrics(file):
    try:
        found = json.loads(file.read_text())
    except ValueError as error:
        raise Broken(f"{file} is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise Broken(f"{file} must be an object of names and numbers")
    return {k: None if isinstance(v, float) and v != v else v for k, v in found.items()}


def inherited(step, inputs):
    """A step that only checks, checks the metrics of those that it needs."""
    found = {}
    for need in step.get("results", ()):
        file = inputs / f"mlinfra-{need}" / "results.json"
        if file.is_file():
            found.update(json.loads(file.read_text())["metrics"])
    return found


def check(step, found, places):
    if step["expect"]:
        sys.path.insert(0, str(HERE))
        from mlinfra.provider.runs.expectations import broken

        problems = broken(step["expect"], found, places)
        if problems:
            raise Broken("; ".join(problems))


def variable(direction, name):
    return f"MLINFRA_{direction}_" + "".join(c if c.isalnum() or c == "_" else "_" for c in name).upper()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
