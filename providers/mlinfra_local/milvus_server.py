"""The process behind ``local.milvus``: ``milvus-lite server`` with what a supervised, shared server needs beyond it.

``milvus-lite server`` of 3.2.2 opens its port before any collection is loaded (a search after a restart fails until somebody
loads it), ignores SIGTERM's chance to close its files, lets a second server bind the same port (gRPC's SO_REUSEPORT), and opens a
collection twice when two first requests arrive together. This one loads everything before it listens, closes on SIGTERM,
refuses a taken port, and takes one change of the catalogue at a time.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from mlinfra_local.orphan import end_with_folder

_LARGEST_MESSAGE = 256 * 2**20  # what Milvus standalone allows
_log = logging.getLogger("mlinfra.milvus")


def main(arguments: Sequence[str]) -> int:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="milvus_server")
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", required=True, type=int)
    parser.add_argument("--database", default="default")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("faiss").setLevel(logging.WARNING)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
    end_with_folder()
    db = _open(options.data_dir, options.database)
    try:
        _load_all(db)
        _serve(db, options.host, options.port)
    finally:
        db.close()
    return 0


def _open(folder: str, database: str) -> Any:
    from milvus_lite.db import MilvusLite

    class OneAtATime(MilvusLite):  # type: ignore[misc]
        """Milvus Lite whose catalogue is changed, and whose collections are opened, by one thread at a time."""

        def __init__(self, data_dir: str) -> None:
            self._catalogue = threading.RLock()
            super().__init__(data_dir)

        def get_collection(self, *args: Any, **kwargs: Any) -> Any:
            with self._catalogue:
                return super().get_collection(*args, **kwargs)

        def create_collection(self, *args: Any, **kwargs: Any) -> Any:
            with self._catalogue:
                return super().create_collection(*args, **kwargs)

        def drop_collection(self, *args: Any, **kwargs: Any) -> None:
            with self._catalogue:
                super().drop_collection(*args, **kwargs)

        def alter_collection_properties(self, *args: Any, **kwargs: Any) -> None:
            with self._catalogue:
                super().alter_collection_properties(*args, **kwargs)

        def create_alias(self, *args: Any, **kwargs: Any) -> None:
            with self._catalogue:
                super().create_alias(*args, **kwargs)

        def alter_alias(self, *args: Any, **kwargs: Any) -> None:
            with self._catalogue:
                super().alter_alias(*args, **kwargs)

        def drop_alias(self, *args: Any, **kwargs: Any) -> None:
            with self._catalogue:
                super().drop_alias(*args, **kwargs)

        def rename_collection(self, old_name: str, new_name: str, database_name: str = "default") -> None:
            """Renaming closes the collection; one that was loaded is loaded again before anybody can ask for it."""
            with self._catalogue:
                loaded = super().get_collection(old_name, database_name).load_state == "loaded"
                super().rename_collection(old_name, new_name, database_name)
                if loaded:
                    super().get_collection(new_name, database_name).load()

    db = OneAtATime(folder)
    if not db.has_database(database):
        db.create_database(database)
    return db


def _load_all(db: Any) -> None:
    for database in db.list_databases():
        for name in db.list_collections(database_name=database):
            try:
                db.get_collection(name, database_name=database).load()
            except Exception:  # noqa: BLE001 - one broken collection must not keep the others from being served
                _log.exception("collection %s of database %s cannot be loaded", name, database)


def _serve(db: Any, host: str, port: int) -> None:
    import grpc
    from milvus_lite.adapter.grpc.servicer import MilvusServicer
    from pymilvus.grpc_gen import milvus_pb2, milvus_pb2_grpc

    class Servicer(MilvusServicer):  # type: ignore[misc]
        """Lite's own, with the one call that every ``query_iterator`` makes and Lite answers with a traceback in its log."""

        def AllocTimestamp(self, request: Any, context: Any) -> Any:
            return milvus_pb2.AllocTimestampResponse(timestamp=int(time.time() * 1000) << 18)

    server = grpc.server(
        ThreadPoolExecutor(max_workers=16),
        options=[
            ("grpc.max_receive_message_length", _LARGEST_MESSAGE),
            ("grpc.max_send_message_length", _LARGEST_MESSAGE),
            ("grpc.so_reuseport", 0),
        ],
    )
    milvus_pb2_grpc.add_MilvusServiceServicer_to_server(Servicer(db), server)
    server.add_insecure_port(f"{host}:{port}")
    server.start()
    _log.info("Milvus Lite listens on %s:%d", host, port)
    try:
        server.wait_for_termination()
    finally:
        server.stop(grace=5).wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
