"""``dataclass`` and ``replace``: the standard library's, in a fraction of the time.

Before Python 3.13 the standard library compiles every method of every class by itself, half a millisecond a class, which was a tenth of a
plan of 1,000 resources and more of a smaller one. Here the fields, the slots, and with them ``fields`` and ``asdict``, stay the
standard library's; only ``__init__`` is compiled, and the other methods are shared functions or closures.

An object of a frozen class is made by the ten thousand too. The standard library fills it through ``object.__setattr__``, which takes three
times as long as an assignment; here its ``__init__`` assigns, while the object is still of an open class (:func:`_open`).
"""

from __future__ import annotations

import dataclasses
import functools
import reprlib
from collections.abc import Callable
from operator import attrgetter
from types import MemberDescriptorType
from typing import TYPE_CHECKING, Any, NoReturn

__all__ = ["dataclass", "replace"]

if TYPE_CHECKING:
    from dataclasses import dataclass, replace
else:

    def replace(value: Any, /, **changes: Any) -> Any:
        """The same object with other values for some of its fields."""
        cls = type(value)
        copied = _copier(cls)
        if copied is None:
            return dataclasses.replace(value, **changes)
        new = copied(value)
        for name, changed in changes.items():
            setattr(new, name, changed)
        new.__class__ = cls
        return new

    def dataclass(*, frozen: bool = False, slots: bool = False, kw_only: bool = False, eq: bool = True, repr: bool = True):
        """What ``dataclasses.dataclass`` makes of these options; the rest of its options are not taken. A method that the class
        writes itself stays."""

        def make(cls: type) -> type:
            written = {name for name, value in vars(cls).items() if value is not None}
            made = dataclasses.dataclass(init=False, repr=False, eq=False, slots=slots, kw_only=kw_only)(cls)
            methods: dict[str, Any] = {"__init__": _init(made, frozen)}
            if repr:
                methods["__repr__"] = _repr(made)
            if eq:
                methods |= _comparison(made, frozen)
            if frozen:
                methods |= {"__setattr__": _refuse_set, "__delattr__": _refuse_delete}
            if frozen and slots:
                methods |= {"__getstate__": _state, "__setstate__": _set_state}
            for name, method in methods.items():
                if name not in written:
                    setattr(made, name, method)
            return made

        return make


def _init(cls: Any, frozen: bool) -> Any:
    """``__init__``, as text that is compiled: a function with just these parameters and defaults."""
    positional: list[str] = []
    named: list[str] = []
    assigned: list[str] = []
    fields = dataclasses.fields(cls)
    opened = _open(cls) if frozen and len(fields) > _FEW else None
    namespace: dict[str, Any] = {"_missing": dataclasses.MISSING, "_put": object.__setattr__}
    for field in fields:
        parameter, value = field.name, field.name
        if field.default is not dataclasses.MISSING:
            namespace[f"_default_{field.name}"] = field.default
            parameter += f"=_default_{field.name}"
        elif field.default_factory is not dataclasses.MISSING:
            namespace[f"_new_{field.name}"] = field.default_factory
            parameter += "=_missing"
            value = f"_new_{field.name}() if {field.name} is _missing else {field.name}"
        (named if field.kw_only is True else positional).append(parameter)
        slot = getattr(cls, field.name, None)
        if opened or not frozen:
            assigned.append(f"self.{field.name} = {value}")
        elif isinstance(slot, MemberDescriptorType):
            namespace[f"_put_{field.name}"] = slot.__set__
            assigned.append(f"_put_{field.name}(self, {value})")
        else:
            assigned.append(f"_put(self, {field.name!r}, {value})")
    if opened:
        namespace |= {"_become": vars(object)["__class__"].__set__, "_open": opened, "_frozen": cls}
        assigned = ["_become(self, _open)", *assigned, "self.__class__ = _frozen"]
    parameters = ["self", *positional, *(["*", *named] if named else [])]
    exec(f"def __init__({', '.join(parameters)}):\n " + "\n ".join(assigned or ["pass"]), namespace)
    init = namespace["__init__"]
    init.__qualname__, init.__module__ = f"{cls.__qualname__}.__init__", cls.__module__
    return init


_FEW = 4
"""So many fields are filled through their slots in the time that it takes to become of another class and back."""


@functools.cache
def _open(cls: Any) -> type | None:
    """A class of the same layout whose fields can be assigned to; None where there is none, since ``cls`` has no slots or inherits some."""
    alone = "__slots__" in vars(cls) and cls.__bases__ == (object,)
    return type(cls.__name__, (), {"__slots__": cls.__slots__}) if alone else None


@functools.cache
def _copier(cls: Any) -> Callable[[Any], Any] | None:
    """What makes an open copy of an object, compiled when it is first asked for."""
    opened = _open(cls)
    if opened is None:
        return None
    namespace: dict[str, Any] = {"make": object.__new__, "open": opened}
    copied = "".join(f" new.{field.name} = old.{field.name}\n" for field in dataclasses.fields(cls))
    exec(f"def copied(old):\n new = make(open)\n{copied} return new", namespace)
    copier: Callable[[Any], Any] = namespace["copied"]
    return copier


def _repr(cls: Any) -> Callable[[Any], str]:
    names = [field.name for field in dataclasses.fields(cls) if field.repr]

    @reprlib.recursive_repr()
    def __repr__(self: Any) -> str:
        return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"

    return __repr__


def _comparison(cls: Any, frozen: bool) -> dict[str, Any]:
    """Equal, and of one hash, are two of one class whose compared fields are."""
    names = [field.name for field in dataclasses.fields(cls) if field.compare]
    if len(names) > 1:
        values: Callable[[Any], Any] = attrgetter(*names)
    else:

        def values(self: Any) -> Any:
            return tuple(getattr(self, name) for name in names)

    def __eq__(self: Any, other: object) -> bool:
        return bool(values(self) == values(other)) if other.__class__ is self.__class__ else NotImplemented

    def __hash__(self: Any) -> int:
        return hash(values(self))

    return {"__eq__": __eq__, "__hash__": __hash__ if frozen else None}


def _refuse_set(self: object, name: str, value: object) -> NoReturn:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_delete(self: object, name: str) -> NoReturn:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


def _state(self: Any) -> list[Any]:
    return [getattr(self, field.name) for field in dataclasses.fields(self)]


def _set_state(self: Any, state: list[Any]) -> None:
    for field, value in zip(dataclasses.fields(self), state, strict=True):
        object.__setattr__(self, field.name, value)
