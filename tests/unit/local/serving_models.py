"""Tiny MLflow model folders for tests: no pickles, loaded by MLflow like any other."""

from __future__ import annotations

from pathlib import Path

LOADER = """
import os, time
import pandas

class Model:
    def __init__(self, text):
        if text == "broken":
            raise RuntimeError("this model is broken on purpose")
        self.text = text

    def predict(self, data, params=None):
        if isinstance(data, pandas.DataFrame) and "boom" in data.columns:
            raise ValueError("cannot predict this")
        if self.text == "environment":
            return [os.environ.get("GREETING", "")] * len(data)
        return [self.text] * len(data)

def _load_pyfunc(path):
    with open(path) as file:
        return Model(file.read())
"""


def save_model(folder: Path, answer: str) -> Path:
    """A model folder whose predictions are all ``answer``; ``broken`` fails to load, ``environment`` answers ``$GREETING``."""
    module = f"constant_{abs(hash(answer)) % 10**8}"
    (folder / "code").mkdir(parents=True)
    (folder / "code" / f"{module}.py").write_text(LOADER)
    (folder / "answer.txt").write_text(answer)
    (folder / "MLmodel").write_text(
        f"flavors:\n  python_function:\n    loader_module: {module}\n    data: answer.txt\n    code: code\n"
    )
    return folder
