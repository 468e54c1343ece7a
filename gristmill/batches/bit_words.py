"""Ranges of a batch's bitmaps as the numbers that BITFIELD_RO answers."""

#: Bits to read as one number.
WORD = 50


def words_of(first: int, end: int) -> list[tuple[str, int | str]]:
    """The type and the offset of the numbers that cover the bits `first` to `end - 1` of a bitmap."""
    return [(f"u{min(WORD, end - start)}", start) for start in range(first, end, WORD)]


def set_bits(words: list[int], first: int, end: int) -> list[int]:
    """The indexes of the set bits in the numbers that `words_of` describes."""
    indexes: list[int] = []
    for word, start in zip(words, range(first, end, WORD), strict=True):
        width = min(WORD, end - start)
        if word == (1 << width) - 1:
            indexes += range(start, start + width)
        elif word:
            indexes += (start + place for place in range(width) if word >> (width - 1 - place) & 1)
    return indexes
