"""The guards of failover and confirmation."""

from tests.mutants.mutant import LOST, Mutant

TESTS, BLOCKS = "tests/integration/test_failover.py", "tests/integration/test_sent_blocks.py"

MUTANTS = (
    Mutant(
        "a primary of an older configuration is not believed",
        "gristmill/server/primary.py",
        "if report.epoch < self.epoch:",
        "if report.epoch < -1:",
        f"{TESTS}::test_a_primary_of_an_older_configuration_is_not_believed",
        LOST,
    ),
    Mutant(
        "a server that is no primary is not believed",
        "gristmill/server/primary.py",
        'if role not in ("master", b"master"):',
        "if not role:",
        f"{TESTS}::test_a_replica_is_not_believed_whatever_the_sentinels_say",
        LOST,
    ),
    Mutant(
        "a connection to an earlier primary is broken off",
        "gristmill/server/primary.py",
        "if connection.epoch < epoch:",
        "if connection.epoch < 0:",
        f"{TESTS}::test_a_connection_to_an_earlier_primary_is_broken_off",
        LOST,
    ),
    Mutant(
        "a confirmation makes a write of its own",
        "gristmill/server/confirm.py",
        '_write(one, settings.key("meters:confirmed"))',
        "one.ping()",
        f"{TESTS}::test_nothing_is_confirmed_while_a_replica_is_stopped_not_even_what_changes_nothing",
        LOST,
    ),
    Mutant(
        "a confirmation goes over the connection that wrote",
        "gristmill/server/confirm.py",
        "if wire is None or _wire(one) is not wire:",
        "if wire is None:",
        f"{TESTS}::test_a_write_that_cannot_be_repeated_is_uncertain_when_its_connection_breaks",
        LOST,
    ),
    Mutant(
        "blocks that a failover took back are sent again",
        "producer/sent_blocks.py",
        "if not before:",
        "if block:",
        f"{TESTS}::test_blocks_that_a_failover_takes_back_are_sent_again",
        LOST,
    ),
    Mutant(
        "an input ends when its blocks are confirmed",
        "producer/feeder.py",
        "self._until_room(lambda: self._sent_blocks.settle(self.ledger))",
        "self._raise_problem()",
        f"{TESTS}::test_blocks_that_a_failover_takes_back_are_sent_again",
        LOST,
    ),
    Mutant(
        "a block counts as stored where it is the last one",
        "gristmill/batches/ledger.py",
        "state == [token, str(after), sha]",
        "state",
        f"{BLOCKS}::test_what_is_not_stored_is_told_from_what_is",
        LOST,
    ),
    Mutant(
        "a batch's block counts as stored where replicas have it",
        "gristmill/batches/ledger.py",
        'confirmed(self.client, self.settings, lambda one: one.hmget(self.key(batch, "state"), *names))',
        'self.client.hmget(self.key(batch, "state"), *names)',
        f"{BLOCKS}::test_what_is_not_stored_is_told_from_what_is[batch]",
        LOST,
    ),
    Mutant(
        "an append's block counts as stored where replicas have it",
        "gristmill/batches/appends.py",
        "confirmed(self.client, self.settings, lambda one: one.hget(name, self.token))",
        "self.client.hget(name, self.token)",
        f"{BLOCKS}::test_what_is_not_stored_is_told_from_what_is[append]",
        LOST,
    ),
    Mutant(
        "a schedule's block counts as stored where replicas have it",
        "gristmill/batches/schedules.py",
        "confirmed(self.client, self.settings, lambda one: one.xrevrange(name, count=1))",
        "self.client.xrevrange(name, count=1)",
        f"{BLOCKS}::test_what_is_not_stored_is_told_from_what_is[schedule]",
        LOST,
    ),
    Mutant(
        "a schedule's items have no gap",
        "gristmill/batches/lua/draft.lua",
        "if stored ~= first then return 'lost' end",
        "if false then return 'lost' end",
        f"{TESTS}::test_blocks_that_a_failover_takes_back_are_sent_again",
        LOST,
    ),
)
