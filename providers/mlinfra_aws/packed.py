"""Large tables of JSON of which a few entries are looked at."""

from __future__ import annotations

import marshal
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

_BLOCKS = 64


class Packed(Mapping[str, Any]):
    """A table in compressed blocks: SageMaker's 3,200 shapes take 0.2 MB in place of 4. An entry is made anew each time that it is asked
    for; the order is the table's own."""

    def __init__(self, entries: Mapping[str, Any]) -> None:
        blocks: list[dict[str, bytes]] = [{} for _ in range(_BLOCKS)]
        for name, entry in entries.items():
            blocks[_place(name)][name] = marshal.dumps(entry)
        self._blocks = [zlib.compress(marshal.dumps(block), 1) for block in blocks]
        self._size = len(entries)

    def __getitem__(self, name: str) -> Any:
        return marshal.loads(_opened(self._blocks[_place(name)])[name])

    def __iter__(self) -> Iterator[str]:
        for block in self._blocks:
            yield from _opened(block)

    def __len__(self) -> int:
        return self._size


def _place(name: str) -> int:
    return zlib.crc32(name.encode()) % _BLOCKS


def _opened(block: bytes) -> dict[str, bytes]:
    opened: dict[str, bytes] = marshal.loads(zlib.decompress(block))
    return opened
