"""Items that are words of a command."""

from collections.abc import Iterator, Sequence

from gristmill.producer.items.lines import ITEM_BYTES, TOO_LONG, Raw


class Arguments:
    """The items given on the command line; an empty one is an item too."""

    name, regular, text = "arguments", True, True

    def __init__(self, items: Sequence[str]) -> None:
        self._items = items

    def open(self) -> Iterator[Raw]:
        """Yield every argument."""
        for number, item in enumerate(self._items, 1):
            # Python keeps a byte outside UTF-8 as a lone surrogate.
            size = len(item.encode("utf-8", "surrogateescape"))
            yield Raw(number, None, TOO_LONG) if size > ITEM_BYTES else Raw(number, item)

    def columns(self) -> None:
        """None: arguments have no names."""
        return

    def place(self, number: int) -> str:
        """`argument 3`."""
        return f"argument {number}"
