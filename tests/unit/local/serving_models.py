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
        self.answer = ANSWER

    def predict(self, data, params=None):
        if isinstance(data, pandas.DataFrame) and "boom" in data.columns:
            raise ValueError("cannot predict this")
        while self.text == "waits" and not os.path.exists(os.environ["GATE"]):
            time.sleep(0.01)
        if self.text == "environment":
            return [os.environ.get("GREETING", "")] * len(data)
        return [self.answer] * len(data)

def _load_pyfunc(path):
    with open(path) as file:
        return Model(file.read())
"""


def save_model(folder: Path, answer: str) -> Path:
    """An MLflow model whose predictions are all ``answer``; ``broken`` fails to load, ``environment`` answers ``$GREETING``,
    ``waits`` answers as soon as the file ``$GATE`` exists.

    Every such model brings its code under the same module name."""
    (folder / "code").mkdir(parents=True)
    (folder / "code" / "constant_model.py").write_text(f"ANSWER = {answer!r}\n{LOADER}")
    (folder / "answer.txt").write_text(answer)
    (folder / "MLmodel").write_text(
        "flavors:\n  python_function:\n    loader_module: constant_model\n    data: answer.txt\n    code: code\n"
    )
    return folder
