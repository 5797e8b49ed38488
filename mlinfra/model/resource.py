"""Native resources: what is wanted (Resource), what is recorded (ResourceState), what a provider saw (Observed)."""

from __future__ import annotations

from dataclasses import field

from mlinfra.model.component import DEFAULT_LIFECYCLE, Lifecycle
from mlinfra.model.dataclass import dataclass
from mlinfra.model.diagnostic import Span
from mlinfra.model.values import EMPTY, Map


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One native resource that should exist.

    ``provider``   the provider instance that owns it (``local``, ``aws.eu``, ``milvus``)
    ``component``  address of the component it was lowered from; ``kind`` that component's kind; ``named`` as in Component
    ``settles_after``  addresses: this resource changes only after everything that depends on those has changed too
                   (an alias that must not move before the new collection is filled)
    ``existing``   an id: only looked up, never created, changed or deleted
    """

    address: str
    type: str
    provider: str
    attributes: Map = EMPTY
    depends_on: tuple[str, ...] = ()
    lifecycle: Lifecycle = DEFAULT_LIFECYCLE
    component: str = ""
    kind: str = ""
    named: str = ""
    settles_after: tuple[str, ...] = ()
    existing: str | None = None
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceState:
    """One native resource as recorded.

    ``attributes``    everything known: inputs and computed; secrets as SecretDigest
    ``inputs``        names of the attributes that were given by the spec when it was last applied
    ``dependencies``  addresses that must outlive it
    ``tainted``       half-made: the next apply replaces it
    ``deposed``       ``""`` for the current object, else the key of one that waits for deletion
    ``version``       counts the writes to this object; a saved plan that saw another number is stale
    ``named``         the address that its physical name was made from, where that is not its component's: it has moved since
    ``replace_when``  the values of ``lifecycle.replace_when`` at the last apply
    """

    address: str
    type: str
    provider: str
    id: str
    attributes: Map = EMPTY
    inputs: tuple[str, ...] = ()
    dependencies: tuple[str, ...] = ()
    schema_version: int = 1
    tainted: bool = False
    deposed: str = ""
    protect: bool = False
    create_first: bool = False
    component: str = ""
    kind: str = ""
    named: str = ""
    version: int = 1
    replace_when: tuple[object, ...] = ()
    existing: bool = False

    @property
    def key(self) -> tuple[str, str]:
        return (self.address, self.deposed)


@dataclass(frozen=True, slots=True)
class Observed:
    """A provider's answer: the id and every attribute of the object as it stands in the world."""

    id: str
    attributes: Map


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """What a provider is asked to make so: attributes are all known; secrets come as Secret (call ``reveal()``).

    ``address`` is what marks the object as ours (a tag, a marker file): that at which it was first made, wherever it has moved.
    When it comes from a journal's intent (for Finds), secrets are SecretDigest.
    """

    address: str
    type: str
    attributes: Map
    timeout: float | None = None


def made_at(resource: Resource | ResourceState) -> str:
    """The address at which it was first made, or would be: its name and its marks in the world say this one."""
    return resource.named + resource.address[len(resource.component) :] if resource.named else resource.address
