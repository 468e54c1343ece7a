"""The guards of the promises: what each mutation takes out, and which test must turn red."""

from tests.mutants import guards, pools

#: All of them.
MUTANTS = (*guards.MUTANTS, *pools.MUTANTS)
