"""What a watcher concludes from its looks: who counts as dead, and when it leaves that to the leases."""

import pytest

from gristmill.fleet.absences import GONE_SECONDS, UNSEEN_SECONDS, Absences

STEP = 0.2


class Looks:
    """A watcher's looks at a fleet, STEP seconds apart, from the moment 100 on; the server's time is in ms."""

    def __init__(self, size):
        self.absences = Absences()
        self.fleet = {f"w{number}": 1 for number in range(size)}
        self.at = 100.0
        self.dead = {}

    def look(self, *gone, seconds=STEP):
        self.at += seconds
        subscribers = {name: int(name not in gone) for name in self.fleet}
        dead = dict(self.absences.look(subscribers, self.at, int(self.at * 1000)))
        self.dead.update(dead)
        return dead

    def looks(self, number, *gone):
        for _ in range(number):
            self.look(*gone)
        return self.dead


@pytest.fixture
def looks():
    looks = Looks(4)
    looks.look()
    return looks


def test_a_subscription_that_is_gone_for_half_a_second_is_a_death(looks):
    gone_at = looks.at + STEP
    assert looks.looks(3, "w1") == {}
    assert looks.look("w1") == {"w1": int(gone_at * 1000)}
    assert looks.at - gone_at >= GONE_SECONDS


def test_the_next_look_comes_when_the_half_second_is_over(looks):
    assert looks.absences.until_next(looks.at) is None
    looks.look("w1")
    assert looks.absences.until_next(looks.at + 0.2) == pytest.approx(GONE_SECONDS - 0.2)
    looks.look("w1", seconds=GONE_SECONDS)
    assert looks.dead.keys() == {"w1"}


def test_what_only_the_server_has_seen_has_the_time_to_connect_again():
    looks = Looks(4)
    looks.absences.trust({"w1", "w2"})
    looks.look("w1", "w2")
    gone_at = looks.at
    # Seen: from now on like others.
    looks.looks(2, "w1")
    while looks.at < gone_at + UNSEEN_SECONDS - STEP:
        assert looks.look("w1").keys() <= {"w2"}
    assert looks.looks(2, "w1").keys() == {"w1"}


def test_one_that_comes_back_begins_anew(looks):
    looks.looks(2, "w1")
    looks.look()
    assert looks.looks(3, "w1") == {}
    assert looks.look("w1").keys() == {"w1"}


def test_what_no_look_has_seen_is_no_absence():
    assert Looks(4).looks(10, "w1") == {}


def test_after_a_pause_without_looks_an_absence_begins_anew(looks):
    looks.look("w1")
    assert looks.look("w1", seconds=1.1) == {}
    assert looks.looks(2, "w1") == {}
    assert looks.look("w1").keys() == {"w1"}


def test_a_watcher_with_a_new_connection_has_seen_nobody(looks):
    looks.absences.forget()
    assert looks.looks(10, "w1") == {}
    # Until it is seen again.
    looks.look()
    assert looks.looks(4, "w1").keys() == {"w1"}


def test_one_that_the_server_has_heard_of_waits_anew(looks):
    looks.looks(4, "w1")
    looks.absences.postpone("w1", looks.at, int(looks.at * 1000))
    assert looks.look("w1") == {}
    assert looks.looks(2, "w1").keys() == {"w1"}


@pytest.mark.parametrize(("size", "gone", "are_dead"), [(4, 2, True), (4, 3, False), (12, 3, True), (12, 4, False)])
def test_when_many_go_at_once_the_leases_decide(size, gone, are_dead):
    looks = Looks(size)
    looks.look()
    names = list(looks.fleet)[:gone]
    assert set(looks.looks(10, *names)) == (set(names) if are_dead else set())


def test_those_who_go_one_after_another_within_a_second_are_many_too(looks):
    looks.look("w0")
    looks.look("w0", "w1")
    looks.looks(10, "w0", "w1", "w2")
    assert looks.dead == {}


def test_those_who_go_a_second_apart_are_not(looks):
    looks.looks(6, "w0")
    looks.looks(6, "w0", "w1")
    looks.looks(6, "w0", "w1", "w2")
    assert looks.dead.keys() == {"w0", "w1", "w2"}


def test_one_that_has_been_handed_on_is_forgotten(looks):
    looks.looks(4, "w1")
    del looks.fleet["w1"]
    looks.dead.clear()
    assert looks.looks(5) == {}
    assert looks.absences.until_next(looks.at) is None
