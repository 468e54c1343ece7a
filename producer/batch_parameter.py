"""A batch as the parameter of a task: an item names the batch, and the task gets it, to read it."""

from operator import attrgetter
from typing import TYPE_CHECKING, Any, Self

from gristmill.config.names import NAME

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic_core import CoreSchema


class BatchParameter:
    """What makes a class of batches the annotation of a task's parameter; its values are the names of batches."""

    name: str

    @classmethod
    def _opened(cls, name: str) -> Self:
        """The batch called `name`.

        Raises:
            ValueError: there is none.
        """
        raise NotImplementedError

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: "GetCoreSchemaHandler") -> "CoreSchema":
        """A name, or a batch; JSON has its name."""
        # Programs that run no task do without pydantic.
        from pydantic_core import core_schema

        names = core_schema.no_info_after_validator_function(
            cls._opened, core_schema.str_schema(pattern=f"^{NAME.pattern}$")
        )
        return core_schema.json_or_python_schema(
            json_schema=names,
            python_schema=core_schema.union_schema([core_schema.is_instance_schema(cls), names]),
            serialization=core_schema.plain_serializer_function_ser_schema(attrgetter("name")),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: "CoreSchema", _handler: "GetJsonSchemaHandler") -> dict[str, Any]:
        """What errors and tables say of the parameter."""
        return {"type": "string", "expectation": "the name of a batch"}
