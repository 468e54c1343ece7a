"""Tasks of a workflow: pages, what is parsed from them, a report of that."""

from gristmill import Batch, aio, cpu, io


@cpu(name="workflow_links")
def links(n: int) -> list[dict[str, int]]:
    """A page with a link to each number below n; the page 13 is missing."""
    if n == 13:
        raise LookupError("no such page")
    return [{"number": number} for number in range(n)]


@cpu(name="workflow_positive")
def positive(number: int) -> int:
    """The number; 0 is none."""
    if number == 0:
        raise ValueError("zero")
    return number


@cpu(name="workflow_label")
def label(link: dict[str, int], word: str = "number") -> str:
    """A label of a link."""
    return f"{word} {link['number']}"


@cpu(name="workflow_report")
def report(parsed: Batch) -> dict[str, int]:
    """Read a batch from inside a task."""
    values = [result.value for result in parsed.results(state="succeeded")]
    return {"items": len(values), "total": sum(values)}


@io(name="workflow_report_later")
async def report_later(parsed: aio.Batch) -> int:
    """Read a batch on the worker's event loop."""
    return sum([result.value async for result in parsed.results(state="succeeded")])


@cpu(name="workflow_large")
def large(n: int) -> str:
    """A value for a file, which is text of n characters."""
    return "x" * n


@cpu(name="workflow_length")
def length(text: str) -> int:
    """How long a text is."""
    return len(text)
