"""``dataclass``: the standard library's, made in a third of the time.

Before Python 3.13 the standard library compiles every method of every class by itself, half a millisecond a class, which was a tenth of a
plan of 1,000 resources and more of a smaller one. Here the fields, the slots, and with them ``replace``, ``fields`` and ``asdict``,
stay the standard library's; only ``__init__`` is compiled, and the other methods are shared functions or closures.
"""

from __future__ import annotations

import dataclasses
import reprlib
from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NoReturn

__all__ = ["dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

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
    namespace: dict[str, Any] = {"put": object.__setattr__, "missing": dataclasses.MISSING}
    for field in dataclasses.fields(cls):
        parameter, value = field.name, field.name
        if field.default is not dataclasses.MISSING:
            namespace[f"default_{field.name}"] = field.default
            parameter += f"=default_{field.name}"
        elif field.default_factory is not dataclasses.MISSING:
            namespace[f"new_{field.name}"] = field.default_factory
            parameter += "=missing"
            value = f"new_{field.name}() if {field.name} is missing else {field.name}"
        (named if field.kw_only is True else positional).append(parameter)
        assigned.append(f"put(self, {field.name!r}, {value})" if frozen else f"self.{field.name} = {value}")
    parameters = ["self", *positional, *(["*", *named] if named else [])]
    exec(f"def __init__({', '.join(parameters)}):\n " + "\n ".join(assigned or ["pass"]), namespace)
    init = namespace["__init__"]
    init.__qualname__, init.__module__ = f"{cls.__qualname__}.__init__", cls.__module__
    return init


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
