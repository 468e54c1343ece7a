"""The places of an event loop: batches fill them by turns, and of a batch the chunk that came first."""

from gristmill.worker.loop.places import Places


class Chunk:
    """So many items, which start in the order of a list that all chunks share."""

    def __init__(self, name, items, started):
        self.name, self.left, self.started = name, items, started

    def __call__(self):
        if not self.left:
            return False
        self.left -= 1
        self.started.append(self.name)
        return True


def test_batches_take_turns_and_the_chunks_of_a_batch_follow_each_other():
    places, started = Places(1), []
    for batch, chunk, items in (("a", "a1", 2), ("a", "a2", 1), ("b", "b1", 3)):
        places.fill(batch, Chunk(chunk, items, started))
    for _ in range(5):
        places.release()
    assert started == ["a1", "a1", "b1", "a2", "b1", "b1"]
    places.release()
    assert places.free == 1


def test_what_has_nothing_left_takes_no_place():
    places, started = Places(3), []
    places.fill("a", Chunk("a1", 0, started))
    places.fill("a", Chunk("a2", 2, started))
    assert (started, places.free) == (["a2", "a2"], 1)
