"""The guards of the watch over the fleet, each with its mutation and the test that must turn red."""

from tests.mutants.mutant import LOST, ONCE, SEEN, Mutant

WATCH = "tests/integration/test_watch.py"
BATCHES = "gristmill/batches/lua"

MUTANTS = (
    Mutant(
        "a worker that the server has heard of is not handed on",
        f"{BATCHES}/hand_on.lua",
        "if is_alive() then return {-1, 0} end",
        "",
        f"{WATCH}::TestWatching::test_whoever_has_been_heard_of_since_lives",
        ONCE,
    ),
    Mutant(
        "a watcher hands on nobody that it has not seen alive over its connection",
        "gristmill/fleet/watcher.py",
        "if self.subscription.count != self._connections or not is_seen:",
        "if False:",
        f"{WATCH}::TestWatching::test_a_server_that_comes_back_says_nothing_about_the_dead",
        ONCE,
    ),
    Mutant(
        "the server's word for who was alive holds for its present run",
        "gristmill/broker/lua/witnessed.lua",
        ".run == run then",
        ".run then",
        f"{WATCH}::TestWatching::test_what_another_run_of_the_server_saw_is_left_to_the_lease",
        ONCE,
    ),
    Mutant(
        "the server notes a run only for a worker that is subscribed",
        "gristmill/broker/lua/enlist.lua",
        "return number and number > 0 and run_of_server() or ''",
        "return run_of_server()",
        f"{WATCH}::TestWatching::test_what_nobody_saw_alive_is_left_to_the_lease",
        ONCE,
    ),
    Mutant(
        "whom only the server has seen has the time to connect again",
        "gristmill/fleet/absences.py",
        "UNSEEN_SECONDS if consumer in self._unseen else GONE_SECONDS",
        "GONE_SECONDS",
        "tests/unit/test_absences.py::test_what_only_the_server_has_seen_has_the_time_to_connect_again",
        ONCE,
    ),
    Mutant(
        "a process that connects again does not take the server's word",
        "gristmill/fleet/watcher.py",
        "elif self._is_new and self._connections == 1:",
        "else:",
        f"{WATCH}::TestWatching::test_a_server_that_comes_back_says_nothing_about_the_dead",
        ONCE,
    ),
    Mutant(
        "a worker that was alone learns who came and died before its next look",
        "gristmill/fleet/watcher.py",
        "self._members, self._connections = {self.lease.consumer}, connections",
        "self._members, self._connections = {self.lease.consumer}, -1",
        "tests/integration/test_watch_alone.py::test_it_finds_whoever_came_and_died_before_its_next_look",
        SEEN,
    ),
    Mutant(
        "a watcher learns who came and died between two of its looks",
        "gristmill/fleet/watcher.py",
        "if any(not count and consumer not in self._members for consumer, count in subscribers.items()):",
        "if False:",
        f"{WATCH}::TestWatching::test_it_finds_whoever_came_and_died_between_two_looks",
        SEEN,
    ),
    Mutant(
        "a call of another thread does not make a watcher forget whom it has seen",
        "gristmill/fleet/watcher.py",
        "client, prefix = lease.heartbeat.new_client(), lease.scripts.prefix",
        "client, prefix = lease.heartbeat.client, lease.scripts.prefix",
        f"{WATCH}::TestWatching::test_a_call_of_another_thread_does_not_make_a_watcher_forget",
        SEEN,
    ),
    Mutant(
        "a due time that only a dead worker knew is told to another",
        "gristmill/broker/lua/lease.lua",
        "back(queue), later(queue)) > 0",
        "back(queue)) > 0",
        f"{WATCH}::TestWatching::test_another_worker_learns_the_due_time_that_the_dead_one_knew",
        SEEN,
    ),
    Mutant(
        "when many subscriptions go at once the leases decide",
        "gristmill/fleet/absences.py",
        "if self._is_storm():",
        "if False:",
        "tests/unit/test_absences.py::test_when_many_go_at_once_the_leases_decide",
        ONCE,
    ),
    Mutant(
        "a forked child closes the connection that is subscribed",
        "gristmill/server/subscription.py",
        "        for connection in list(self.connections):",
        "        for connection in ():",
        "tests/integration/test_watched_workers.py::test_a_child_of_a_worker_holds_no_connection_that_is_subscribed",
        LOST,
    ),
    Mutant(
        "a worker enlists before it reads",
        "gristmill/fleet/watcher.py",
        "        self._has_enlisted.wait(ENLISTMENT_SECONDS)\n",
        "",
        f"{WATCH}::test_a_worker_enlists_before_it_reads",
        SEEN,
    ),
)
