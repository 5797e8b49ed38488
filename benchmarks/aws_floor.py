"""What boto3 alone takes to make the stacks: nothing is planned, checked, recorded or waited for.

    python -m benchmarks.aws_floor URL STACKS THREADS

One thread a stack at a time, at most THREADS; prints the seconds that the calls took.
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.config import Config

from benchmarks.thirteen_objects import calls


def main(url: str, stacks: int, threads: int) -> None:
    config = Config(max_pool_connections=threads, s3={"addressing_style": "path"})
    clients = {
        service: boto3.client(
            service,
            endpoint_url=url,
            region_name="us-east-1",
            config=config,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )
        for service in ("s3", "iam", "sagemaker", "cloudwatch", "ecr")
    }

    def make(n: int) -> None:
        for service, method, parameters in calls(n):
            getattr(clients[service], method)(**parameters)

    began = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(make, range(stacks)))
    print(time.perf_counter() - began)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
