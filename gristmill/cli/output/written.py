"""Which results were written, in flat memory: most come about in the order of their indexes, and of a first attempt."""

#: Items of one page.
_PAGE = 4096


class WrittenAttempts:
    """Of each item the attempts that its result told of: a byte, and a number for a page of items that are alike."""

    def __init__(self) -> None:
        self._pages: dict[int, bytearray | int] = {}
        #: By page, the items that have no mark yet.
        self._open: dict[int, int] = {}

    def add(self, index: int, attempts: int) -> bool:
        """Note a result; False when it, or one of a later attempt, was there."""
        number, place = divmod(index, _PAGE)
        mark = min(attempts + 1, 255)
        page = self._pages.get(number)
        if isinstance(page, int):
            if page >= mark:
                return False
            page = self._pages[number] = bytearray([page]) * _PAGE
        elif page is None:
            page = self._pages[number] = bytearray(_PAGE)
            self._open[number] = _PAGE
        before = page[place]
        if before >= mark:
            return False
        page[place] = mark
        if not before:
            self._close(number, page)
        return True

    def _close(self, number: int, page: bytearray) -> None:
        """Keep one mark for the whole page, once all its items have the same."""
        self._open[number] -= 1
        if not self._open[number]:
            del self._open[number]
            if page.count(page[0]) == _PAGE:
                self._pages[number] = page[0]
