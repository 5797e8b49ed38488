"""Finds the digits that look most like one of them: ``python search.py VECTORS_URI COLLECTION [ID]``."""

import sys

from pymilvus import MilvusClient


def main(uri: str, collection: str, number: int = 7) -> None:
    client = MilvusClient(uri=uri)
    (wanted,) = client.get(collection, ids=[number], output_fields=["label", "embedding"])
    (found,) = client.search(collection, data=[wanted["embedding"]], limit=6, output_fields=["label"])
    print(f"digit {number} is a {wanted['label']}; most like it are")
    for hit in found:
        if hit["id"] != number:
            print(f"  digit {hit['id']:>4}, a {hit['entity']['label']}  (cosine {hit['distance']:.3f})")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))
