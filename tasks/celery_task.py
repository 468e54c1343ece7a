"""Celery's `Task` as a type: Celery has none, and a subclass of `Any` would let every wrong call pass."""

from typing import TYPE_CHECKING, Any, Concatenate, Generic, overload

from typing_extensions import ParamSpec, TypeVar

P = ParamSpec("P", default=...)
Q = ParamSpec("Q")
R_co = TypeVar("R_co", covariant=True, default=Any)

if TYPE_CHECKING:

    class TypedTask(Generic[P, R_co]):
        """A Celery task made of a function with the parameters `P` that returns `R_co`."""

        name: str
        app: Any
        request: Any
        backend: Any
        time_limit: float | None
        run: Any
        apply: Any
        apply_async: Any
        signature: Any
        subtask: Any
        map: Any
        starmap: Any
        chunks: Any
        retry: Any
        replace: Any
        put_quickly: Any
        update_state: Any
        AsyncResult: Any

        def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co: ...
        def delay(self, *args: P.args, **kwargs: P.kwargs) -> Any: ...
        def si(self, *args: P.args, **kwargs: P.kwargs) -> Any: ...
        @overload
        def s(self, *args: P.args, **kwargs: P.kwargs) -> Any: ...
        @overload
        def s(self: "TypedTask[Concatenate[Any, Q], R_co]", *args: Q.args, **kwargs: Q.kwargs) -> Any:
            """Without the first argument: in a chain it is the result of the task before."""

        def s(self, *args: Any, **kwargs: Any) -> Any: ...

else:
    from gristmill.broker.quick_task import QuickTask

    class TypedTask(QuickTask, Generic[P, R_co]):
        """A Celery task made of a function with the parameters `P` that returns `R_co`."""

        abstract = True
