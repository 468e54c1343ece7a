"""A task whose module this process does not have, as the workers announce it, or need not load."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self, TypeAlias

from gristmill.config.limits import UNLIMITED, Limits
from gristmill.config.resources import Resources
from gristmill.fleet.announcement import Announcement
from gristmill.tasks.kind import Kind
from gristmill.tasks.return_type import ReturnType
from gristmill.tasks.schema import Parameter, Schema

if TYPE_CHECKING:
    from gristmill.tasks.task import GristmillTask


@dataclass(frozen=True, slots=True)
class RemoteTask:
    """A task that can be submitted here: the names of its parameters are known, and workers check the values."""

    name: str
    kind: Kind
    schema: Schema
    retries: int
    fingerprint: str
    modules: dict[str, str]
    queue_name: str
    resources: Resources
    is_async: bool = False
    limits: Limits = UNLIMITED

    #: Workers announce none: values are read as JSON has them.
    return_type: ClassVar[ReturnType] = ReturnType()
    #: By what the task derives the value that limits its items: only its module knows.
    limit_function: ClassVar[None] = None

    @classmethod
    def of(cls, name: str, announcement: Announcement) -> Self:
        """The task that workers announce by this name."""
        # Workers of an earlier version do not say which parameters take objects.
        objects = announcement.objects
        parameters = [
            Parameter.of_any(name, required, objects.get(name, True))
            for name, required in announcement.parameters.items()
        ]
        return cls(
            name,
            Kind(announcement.kind),
            Schema(parameters),
            announcement.retries,
            announcement.fingerprint,
            announcement.modules,
            # Workers of an earlier version do not say it.
            announcement.queue or announcement.kind,
            Resources(announcement.slots, announcement.memory),
            announcement.is_async,
            Limits(announcement.max_running or None, announcement.rate or None, announcement.limit_by or None),
        )


#: What a batch can run; as text, because Celery comes with the first.
SubmittableTask: TypeAlias = "GristmillTask | RemoteTask"
