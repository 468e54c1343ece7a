"""The guards of the promises: what each mutation takes out, and which test must turn red."""

from tests.mutants import guards, watch

#: All of them.
MUTANTS = (*guards.MUTANTS, *watch.MUTANTS)
