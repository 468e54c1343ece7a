"""The guards of the first promises, each with the mutation that takes it out and the test that must turn red."""

from tests.mutants import ledger, transport, watch

MUTANTS = (*transport.MUTANTS, *ledger.MUTANTS, *watch.MUTANTS)
