"""Values of numpy, told by their type: Gristmill does not depend on numpy, and does not import it."""

import sys
from functools import reduce
from operator import or_
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

#: Kinds of dtype whose values JSON has as they are: booleans, integers, floats, text; `O` may have others in it.
_KINDS = "biufUO"


def is_numpy(value: object) -> bool:
    """Whether a value is an array or a scalar of numpy."""
    return _is_numpy_class(type(value))


def _is_numpy_class(kind: object) -> bool:
    if not isinstance(kind, type) or "numpy" not in sys.modules:
        return False
    return any(base.__module__ == "numpy" and base.__name__ in ("ndarray", "generic") for base in kind.__mro__)


def to_python(value: Any) -> Any:
    """The array as lists, or the scalar, in Python's own types.

    Raises:
        TypeError: Python has no such type, or JSON would not tell what the value was (a `datetime64`).
    """
    plain = value.tolist() if value.dtype.kind in _KINDS else value
    if is_numpy(plain):
        raise TypeError(f"numpy's {value.dtype} is not JSON (expected a dtype of booleans, integers, floats or text)")
    return plain


def with_numpy(annotation: Any) -> Any:
    """The annotation, with classes of numpy in a form that pydantic writes and reads."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    # `NDArray` of numpy 2.5 is an alias by a `type` statement.
    aliased: Any = getattr(origin, "__value__", None)
    if _is_numpy_class(get_origin(aliased)):
        return with_numpy(aliased[arguments])
    if _is_numpy_class(origin or annotation):
        return Annotated[annotation, _NumpySchema(origin or annotation, _dtype(arguments))]
    replaced = tuple(with_numpy(argument) for argument in arguments)
    if all(new is old for new, old in zip(replaced, arguments, strict=True)):
        return annotation
    if origin in (Union, UnionType):
        return reduce(or_, replaced)
    if origin is Annotated:
        return Annotated[(replaced[0], *annotation.__metadata__)]
    return origin[replaced] if origin else annotation


def _dtype(arguments: tuple[Any, ...]) -> Any:
    """The class of an array's elements in `NDArray[…]`; None if the annotation does not name a single one."""
    element = next(iter(get_args(arguments[1])), None) if len(arguments) > 1 else None
    # `floating` and its like stand for several.
    return element if isinstance(element, type) and not element.__subclasses__() else None


class _NumpySchema:
    """How pydantic writes and reads a class of numpy; `dtype` is the class of an array's elements, if it is known."""

    def __init__(self, kind: type, dtype: Any) -> None:
        self._kind, self._dtype = kind, dtype

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.json_or_python_schema(
            json_schema=core_schema.no_info_plain_validator_function(self._read),
            python_schema=core_schema.is_instance_schema(self._kind),
            serialization=core_schema.plain_serializer_function_ser_schema(self._write),
        )

    def _write(self, value: Any) -> Any:
        kind: Any = self._kind
        if not isinstance(value, kind):
            raise TypeError(f"expected {kind.__name__}, not {type(value).__name__}")
        if self._dtype is not None and not issubclass(value.dtype.type, self._dtype):
            raise TypeError(f"expected an array of {self._dtype.__name__}, not of {value.dtype}")
        return to_python(value)

    def _read(self, value: Any) -> Any:
        numpy: Any = sys.modules["numpy"]
        if issubclass(self._kind, numpy.ndarray):
            return numpy.asarray(value, self._dtype)
        # A `generic` that does not say which is read as numpy reads the value.
        return numpy.asarray(value)[()] if self._kind.__subclasses__() else self._kind(value)
