"""Fills the collection: one vector a digit, of unit length. Done again with the same digits, it changes nothing."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
from pymilvus import MilvusClient

BATCH = 500


def embeddings(pixels: np.ndarray, dimensions: int) -> np.ndarray:
    """The pixels themselves, or as many of their principal components as asked; scaled to length 1."""
    if dimensions != pixels.shape[1]:
        centred = pixels - pixels.mean(axis=0)
        axes = np.linalg.svd(centred, full_matrices=False)[2][:dimensions]
        # The sign of an axis is anybody's choice: make it the same every time.
        axes *= np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])[:, None]
        pixels = centred @ axes.T
    return pixels / np.linalg.norm(pixels, axis=1, keepdims=True)


digits = pd.read_csv(Path(os.environ["MLINFRA_INPUT_CLEAN"]) / "clean.csv")
vectors = embeddings(digits.filter(regex=r"^p\d+$").to_numpy(float), int(os.environ["DIMENSIONS"]))
rows = [
    {"id": int(number), "label": int(label), "embedding": vector.tolist()}
    for number, label, vector in zip(digits["id"], digits["label"], vectors, strict=True)
]

client = MilvusClient(uri=os.environ["MILVUS_URI"])
collection = os.environ["COLLECTION"]
for start in range(0, len(rows), BATCH):
    client.upsert(collection, rows[start : start + BATCH])
    print(f"{min(start + BATCH, len(rows))} of {len(rows)} vectors written")
kept = {row["id"] for row in rows}
there = {row["id"] for row in client.query(collection, filter="id >= 0", output_fields=["id"], limit=16384)}
if gone := sorted(there - kept):
    client.delete(collection, ids=gone)
    print(f"{len(gone)} vectors of digits that are no longer there removed")
client.close()
