"""When Python's garbage collector works: not while a spec is read and planned, and seldom from then on.

What modules, a spec, a plan and a state are built of are trees: they go when nobody refers to them, and no collection can free more of
them. Looking through them again and again was a sixth of a plan of 10,000 resources, and it is more the more there are. Cycles come
with waiting for others (errors, tasks, connections), so that is when collecting begins, among what is made from then on.
"""

from __future__ import annotations

import gc

_held_back = False


def hold_back() -> None:
    """A command begins: nothing is collected until :func:`collect_new`."""
    global _held_back
    gc.disable()
    _held_back = True


def collect_new() -> None:
    """The command may wait for others from here on, for hours perhaps: what is made now is looked through whenever it has become a
    million objects, and what was made before never. Does nothing in a process whose collector nobody held back."""
    global _held_back
    if _held_back:
        _held_back = False
        gc.freeze()
        gc.set_threshold(1_000_000, 50, 100)
        gc.enable()
