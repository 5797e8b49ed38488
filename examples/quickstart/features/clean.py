"""Keeps what training needs: no notes, no scan twice, no row without a label; ordered by id, so that order means nothing."""

import os
from pathlib import Path

import pandas as pd

scans = pd.read_csv(os.environ["MLINFRA_INPUT_SCANS"])
clean = scans.drop(columns=["note"], errors="ignore").dropna(subset=["label"]).drop_duplicates("id", keep="last")
clean = clean.astype(int).sort_values("id")
clean.to_csv(Path(os.environ["MLINFRA_OUTPUT_CLEAN"]) / "clean.csv", index=False)
print(f"{len(clean)} of {len(scans)} scans kept")
