"""What a provider says reaches whoever listens, also from a thread, and nobody otherwise."""

from __future__ import annotations

import asyncio

from mlinfra.provider.progress import listening, say


def test_words_reach_the_listener_of_their_own_call() -> None:
    heard: dict[str, list[str]] = {"a": [], "b": []}

    async def call(name: str) -> None:
        with listening(heard[name].append):
            say(f"{name} begins")
            await asyncio.to_thread(say, f"{name} in a thread")

    async def both() -> None:
        await asyncio.gather(call("a"), call("b"))

    asyncio.run(both())
    assert heard == {"a": ["a begins", "a in a thread"], "b": ["b begins", "b in a thread"]}


def test_words_are_dropped_when_nobody_listens() -> None:
    heard: list[str] = []
    with listening(heard.append):
        pass
    say("too late")
    assert heard == []
