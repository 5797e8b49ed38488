"""Writes digits.csv beside this file: scikit-learn's handwritten digits (8 × 8 pixels of 0 to 16), as they might come in.

Every row has a free-text note that no step uses. The committed digits.csv was made by this script; run it again with
``python data/make_digits.py``.
"""

import csv
from pathlib import Path

from sklearn.datasets import load_digits


def main() -> None:
    digits = load_digits()
    pixels = digits.data.astype(int).tolist()
    rows = [
        [number, *row, label, f"scan {number}"]
        for number, (row, label) in enumerate(zip(pixels, digits.target.tolist(), strict=True))
    ]
    with open(Path(__file__).with_name("digits.csv"), "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", *(f"p{n}" for n in range(64)), "label", "note"])
        writer.writerows(rows)


if __name__ == "__main__":
    main()
