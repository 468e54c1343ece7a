"""`fibonacci`: a number that takes as long to compute as you like."""

from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, Inexact, localcontext
from typing import Annotated, Literal

from pydantic import Field

from gristmill.errors import invalid_value
from gristmill.tasks.kinds import cpu

#: Largest `n` that the naive recursion takes: F(50) costs 40 thousand million calls.
NAIVE_LIMIT = 50
#: Largest `n` of all: F(5,000,000) has 1,044,938 digits; a result may have 1 MiB.
DOUBLING_LIMIT = 5_000_000
#: Digits of a result that is a JSON number, at most: Python does not convert longer ones from and to text.
NUMBER_DIGITS = 4300


def _check(n: int, method: str) -> None:
    if method == "naive" and n > NAIVE_LIMIT:
        expected = f"an integer from 0 to {NAIVE_LIMIT} with method 'naive', or method 'doubling'"
        raise ValueError(invalid_value("n", n, expected))


@cpu(check=_check)
def fibonacci(
    n: Annotated[int, Field(ge=0, le=DOUBLING_LIMIT)],
    method: Literal["naive", "doubling"] = "naive",
) -> int | str:
    """Compute the n-th Fibonacci number, slowly on purpose; F(0) is 0 and F(1) is 1.

    `naive` calls itself about 1.6^n times: the textbook's example of CPU-bound work (n up to 50). `doubling` takes
    log n steps (n up to 5,000,000). A result of more than 4,300 digits is text: Python reads no longer JSON number.
    """
    return _naive(n) if method == "naive" else _doubling(n)


def _naive(n: int) -> int:
    return n if n < 2 else _naive(n - 1) + _naive(n - 2)


def _doubling(n: int) -> int | str:
    """Fast doubling: F(2k) = F(k)(2F(k+1) - F(k)), F(2k+1) = F(k)² + F(k+1)² (Dijkstra, EWD 654, 1978).

    In decimal, exactly: `decimal` multiplies in n log n and its text needs no conversion, which takes
    `int` a hundred times as long at the upper limit.
    """
    # F(n) has 0.209 n digits; a product that needed rounding would raise.
    exact = Context(prec=n // 4 + 20, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[Inexact])
    with localcontext(exact):
        this, following = Decimal(0), Decimal(1)
        for bit in f"{n:b}":
            doubled, after = this * (2 * following - this), this * this + following * following
            this, following = (after, doubled + after) if bit == "1" else (doubled, after)
        digits = str(this)
    return int(digits) if len(digits) <= NUMBER_DIGITS else digits
