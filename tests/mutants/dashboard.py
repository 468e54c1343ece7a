"""Guards of what the dashboard shows."""

from tests.mutants.mutant import TRUE, Mutant

ROUND_TRIPS = "tests/integration/test_round_trips.py"

MUTANTS = (
    Mutant(
        "what visitors share is of their second",
        "gristmill/dashboard/shared_look.py",
        "            is_fresh = time.monotonic() - self._ended <= FRESH_SECONDS\n",
        "            is_fresh = self._ended > 0\n",
        f"{ROUND_TRIPS}::test_all_visitors_of_a_second_share_a_look",
        TRUE,
    ),
    Mutant(
        "what a page made of the look before is not shown again",
        "gristmill/dashboard/shared_look.py",
        "self._look(), {}, None",
        "self._look(), self._values, None",
        f"{ROUND_TRIPS}::test_all_visitors_of_a_second_share_a_look",
        TRUE,
    ),
    Mutant(
        "what a search found long ago is not shown",
        "gristmill/dashboard/message_watch.py",
        "        self._search(OLD_SECONDS)\n",
        "        self._search(10 * OLD_SECONDS + 1)\n",
        f"{ROUND_TRIPS}::test_what_a_search_found_is_never_old",
        TRUE,
    ),
)
