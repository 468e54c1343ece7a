"""The guards of the first promises, each with the mutation that takes it out and the test that must turn red."""

from tests.mutants import (
    dashboard,
    failover,
    later,
    ledger,
    limits,
    notices,
    pools,
    programs,
    slots,
    transport,
    values,
    watch,
    workflows,
)

MUTANTS = (
    *transport.MUTANTS,
    *ledger.MUTANTS,
    *limits.MUTANTS,
    *pools.MUTANTS,
    *watch.MUTANTS,
    *failover.MUTANTS,
    *programs.MUTANTS,
    *slots.MUTANTS,
    *values.MUTANTS,
    *later.MUTANTS,
    *notices.MUTANTS,
    *workflows.MUTANTS,
    *dashboard.MUTANTS,
)
