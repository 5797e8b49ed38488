"""``dataclass`` and ``replace``: the standard library's, in a fraction of the time; and two faster ways to make an object.

Before Python 3.13 the standard library looks at every field with regular expressions and compiles every method of every class by itself,
half a millisecond a class, which was a tenth of a plan of 1,000 resources and more of a smaller one. Here a class costs little more than
its slots: ``__init__`` is compiled when the first object is made (most commands make none of most classes), the other methods are shared
functions or closures, and what ``fields``, ``asdict`` and the like read is left to the standard library, when they first do.

An object of a frozen class is made by the ten thousand too. The standard library fills it through ``object.__setattr__``, which takes three
times as long as an assignment; here its ``__init__`` assigns, while the object is still of an open class (:func:`_open`). Calling a class
takes longer than all that: the engine's loops call what :func:`maker` gives.
"""

from __future__ import annotations

import dataclasses
import functools
import reprlib
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NoReturn

__all__ = ["dataclass", "filler", "maker", "replace"]

if TYPE_CHECKING:
    from dataclasses import dataclass, replace
    from typing import TypeVar

    C = TypeVar("C", bound=type)
    T = TypeVar("T")

    def maker(cls: C) -> C: ...
    def filler(cls: type[T]) -> Callable[..., T]: ...

else:

    @functools.cache
    def maker(cls: Any) -> Callable[..., Any]:
        """A function that makes what calling the frozen class ``cls`` makes, in half the time. To call a class with keywords, Python packs
        them into a dict and unpacks them again; to call a function it does not."""
        return _compiled(cls, _FIELDS[cls], "make", *_MAKING)

    @functools.cache
    def filler(cls: Any) -> Callable[..., Any]:
        """The same, called with the values of all fields in their order."""
        return _compiled(cls, {name: _Field(dataclasses.MISSING, kw_only=False) for name in _FIELDS[cls]}, "fill", *_MAKING)

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

    def dataclass(*, slots: bool, frozen: bool = False, kw_only: bool = False, eq: bool = True, repr: bool = True):
        """What ``dataclasses.dataclass`` makes of these options; the rest of its options are not taken, and there are always slots. A
        method that the class writes itself stays."""
        if not slots:
            raise TypeError("a class without slots is left to dataclasses.dataclass")

        def make(cls: type) -> type:
            fields = _fields_of(cls, kw_only)

            def __init__(self: Any, *given: Any, **named: Any) -> None:
                made.__init__ = _init(made, fields, frozen)
                made.__init__(self, *given, **named)

            __init__.__qualname__ = f"{cls.__qualname__}.__init__"
            methods: dict[str, Any] = {
                "__init__": __init__,
                "__match_args__": tuple([name for name, field in fields.items() if not field.kw_only]),
            }
            if repr:
                methods["__repr__"] = _repr([name for name, field in fields.items() if field.repr])
            if eq:
                methods |= _comparison([name for name, field in fields.items() if field.compare], frozen)
            if frozen:
                methods |= {
                    "__setattr__": _refuse_set, "__delattr__": _refuse_delete, "__getstate__": _state, "__setstate__": _set_state,
                }  # fmt: skip
            made = _slotted(cls, fields, methods | {"__dataclass_fields__": _Standard(cls, kw_only)})
            _FIELDS[made] = fields
            return made

        return make


class _Field:
    """A field as it is written: ``default`` or ``factory`` is MISSING, or both."""

    __slots__ = ("compare", "default", "factory", "kw_only", "repr")

    def __init__(self, written: Any, kw_only: bool) -> None:
        self.kw_only = kw_only
        if isinstance(written, dataclasses.Field):
            self.default, self.factory = written.default, written.default_factory
            self.compare, self.repr = written.compare, written.repr
        else:
            self.default, self.factory = written, dataclasses.MISSING
            self.compare = self.repr = True


_FIELDS: dict[type, dict[str, _Field]] = {}
"""Of every class that was made here, those of its bases included."""


def _fields_of(cls: type, kw_only: bool) -> dict[str, _Field]:
    written = vars(cls)
    found: dict[str, _Field] = {}
    for base in cls.__mro__[-1:0:-1]:
        found |= _FIELDS.get(base, {})
    for name, annotation in written.get("__annotations__", {}).items():
        if not str(annotation).startswith(("ClassVar", "typing.ClassVar")):
            found[name] = _Field(written.get(name, dataclasses.MISSING), kw_only)
    return found


def _slotted(cls: type, fields: Mapping[str, _Field], methods: Mapping[str, Any]) -> Any:
    """``cls`` made anew with slots for its fields and the ``methods`` that it has not written itself."""
    inherited = {name for base in cls.__mro__[1:-1] for name in getattr(base, "__slots__", ())}
    written = vars(cls)
    namespace = {name: value for name, value in written.items() if name not in fields and name not in ("__dict__", "__weakref__")}
    namespace |= {name: method for name, method in methods.items() if written.get(name) is None}
    namespace["__slots__"] = tuple([name for name in fields if name not in inherited])
    namespace["__qualname__"] = cls.__qualname__
    return type(cls)(cls.__name__, cls.__bases__, namespace)


class _Standard:
    """``__dataclass_fields__`` as the standard library has them: worked out, by itself and of the class as it was written, when they are
    first asked for."""

    def __init__(self, written: type, kw_only: bool) -> None:
        self.written = written
        self.kw_only = kw_only

    def __get__(self, instance: object, owner: Any) -> Any:
        # without a docstring the standard library writes the signature into it, which takes as long as all the rest
        self.written.__doc__ = self.written.__doc__ or self.written.__name__
        found: Any = dataclasses.dataclass(init=False, repr=False, eq=False, kw_only=self.kw_only)(self.written)
        cls = next(cls for cls in owner.__mro__ if vars(cls).get("__dataclass_fields__") is self)
        cls.__dataclass_params__, cls.__dataclass_fields__ = found.__dataclass_params__, found.__dataclass_fields__
        return found.__dataclass_fields__


def _init(cls: Any, fields: Mapping[str, _Field], frozen: bool) -> Any:
    """``__init__``, compiled."""
    if not frozen:
        return _compiled(cls, fields, "__init__", [], [], self="self")
    if len(fields) > _FEW and _open(cls) is not None:
        return _compiled(cls, fields, "__init__", ["_become(self, _open)"], ["self.__class__ = _cls"], self="self")
    return _compiled(cls, fields, "__init__", [], [], self="self", put="_put_{0}(self, {1})")


def _compiled(
    cls: Any,
    fields: Mapping[str, _Field],
    name: str,
    before: list[str],
    after: list[str],
    *,
    self: str = "",
    put: str = "self.{0} = {1}",
) -> Any:
    """A function with a parameter for each field, which it assigns by ``put`` between ``before`` and ``after``; from text, for only so it
    has just these parameters and defaults."""
    positional = [self] if self else []
    named: list[str] = []
    assigned: list[str] = []
    scope: dict[str, Any] = {
        "_missing": dataclasses.MISSING, "_new": object.__new__, "_become": _become, "_open": _open(cls), "_cls": cls,
    }  # fmt: skip
    for field_name, field in fields.items():
        parameter, value = field_name, field_name
        if field.default is not dataclasses.MISSING:
            scope[f"_default_{field_name}"] = field.default
            parameter += f"=_default_{field_name}"
        elif field.factory is not dataclasses.MISSING:
            scope[f"_new_{field_name}"] = field.factory
            parameter += "=_missing"
            value = f"_new_{field_name}() if {field_name} is _missing else {field_name}"
        (named if field.kw_only else positional).append(parameter)
        scope[f"_put_{field_name}"] = getattr(cls, field_name).__set__
        assigned.append(put.format(field_name, value))
    parameters = [*positional, *(["*", *named] if named else [])]
    lines = [*before, *assigned, *after] or ["pass"]
    exec(f"def {name}({', '.join(parameters)}):\n " + "\n ".join(lines), scope)
    made = scope[name]
    made.__qualname__, made.__module__ = f"{cls.__qualname__}.{name}", cls.__module__
    return made


_MAKING = (["self = _new(_open)"], ["self.__class__ = _cls", "return self"])
_become = vars(object)["__class__"].__set__
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
    copied = "".join(f" new.{name} = old.{name}\n" for name in cls.__slots__)
    exec(f"def copied(old):\n new = make(open)\n{copied} return new", namespace)
    copier: Callable[[Any], Any] = namespace["copied"]
    return copier


def _repr(names: list[str]) -> Callable[[Any], str]:
    @reprlib.recursive_repr()
    def __repr__(self: Any) -> str:
        return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"

    return __repr__


def _comparison(names: list[str], frozen: bool) -> dict[str, Any]:
    """Equal, and of one hash, are two of one class whose compared fields are: ``names``."""
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
