"""Trains a classifier and writes it as an MLflow model. The same digits and parameters give the same bytes."""

import argparse
import json
import logging
import os
from pathlib import Path

import mlflow.sklearn
import pandas as pd
import sklearn
import yaml
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.svm import SVC

SEED = 7
CHANGING = ("model_uuid", "utc_time_created", "run_id", "model_id", "artifact_path")


def classifier(algorithm: str, C: float):
    """Pixels in, a digit out."""
    kinds = {"logistic": LogisticRegression(C=C, max_iter=500), "svm": SVC(C=C)}
    return make_pipeline(MinMaxScaler(), kinds[algorithm])


def save(model, folder: Path) -> None:
    """As MLflow does, less what differs from one run to the next: the version of a model is the digest of its bytes."""
    mlflow.sklearn.save_model(
        model, folder, serialization_format="cloudpickle", pip_requirements=[f"scikit-learn=={sklearn.__version__}"]
    )
    description = yaml.safe_load((folder / "MLmodel").read_text())
    for key in CHANGING:
        description.pop(key, None)
    (folder / "MLmodel").write_text(yaml.safe_dump(description, sort_keys=True))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--algorithm", choices=["logistic", "svm"], default="logistic")
    parser.add_argument("--C", type=float, default=1.0)
    options = parser.parse_args()
    logging.getLogger("mlflow").setLevel(logging.ERROR)  # its advice on pickles, at every save

    digits = pd.read_csv(Path(os.environ["MLINFRA_INPUT_TRAIN"]) / "clean.csv")
    pixels, labels = digits.filter(regex=r"^p\d+$").to_numpy(float), digits["label"].to_numpy()
    train_x, test_x, train_y, test_y = train_test_split(pixels, labels, test_size=0.25, random_state=SEED, stratify=labels)
    model = classifier(options.algorithm, options.C).fit(train_x, train_y)
    accuracy = round(float(model.score(test_x, test_y)), 4)
    print(f"{options.algorithm} with C={options.C}: {accuracy:.1%} of {len(test_y)} unseen digits are right")

    save(model, Path(os.environ["MLINFRA_OUTPUT_MODEL"]))
    report = Path(os.environ["MLINFRA_OUTPUT_REPORT"])
    (report / "metrics.json").write_text(json.dumps({"accuracy": accuracy}))


if __name__ == "__main__":
    main()
