"""Runs a training job on a node of a Ray cluster on EC2: ``python ray_entry.py RUN``. Files come from S3 and go there, by the machine's role."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import boto3  # noqa: E402

from mlinfra.provider.runs import ray_program  # noqa: E402


def main(run):
    s3 = boto3.client("s3")

    def fetch(uri, folder):
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key.rstrip("/")):
            for row in page.get("Contents", ()):
                below = row["Key"].removeprefix(key.rstrip("/")).lstrip("/")
                if row["Key"] == key:
                    below = key.rpartition("/")[2]
                elif not row["Key"].startswith(f"{key.rstrip('/')}/"):
                    continue
                target = folder / below
                target.parent.mkdir(parents=True, exist_ok=True)
                s3.download_file(bucket, row["Key"], str(target))

    def put(file, uri):
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        s3.upload_file(str(file), bucket, key)

    return ray_program.main(HERE, run, "s3://", fetch, put)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
