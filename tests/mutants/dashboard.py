"""Guards of what the dashboard shows."""

from tests.mutants.mutant import TRUE, Mutant

ROUND_TRIPS = "tests/integration/test_round_trips.py"

MUTANTS = (
    Mutant(
        "what visitors share is of their second",
        "gristmill/dashboard/shared_look.py",
        "            is_fresh = arrived - self._ended <= FRESH_SECONDS\n",
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
        "whoever waits for a slow page gets it",
        "gristmill/dashboard/shared_look.py",
        "is_fresh = arrived - self._ended",
        "is_fresh = time.monotonic() - self._ended",
        f"{ROUND_TRIPS}::test_whoever_waits_for_a_slow_page_gets_it",
        TRUE,
    ),
    Mutant(
        "a refusal is of one page",
        "gristmill/dashboard/shared_look.py",
        "except (exceptions.ConnectionError, exceptions.TimeoutError) as",
        "except exceptions.RedisError as",
        f"{ROUND_TRIPS}::test_a_refusal_is_of_one_page",
        TRUE,
    ),
    Mutant(
        "the metrics wait for no search",
        "gristmill/dashboard/message_watch.py",
        " = orphans(client, settings, queues), ",
        ' = self._shared_look.make("orphans", lambda _: orphans(client, settings, queues)), ',
        f"{ROUND_TRIPS}::test_metrics_wait_for_no_search",
        TRUE,
    ),
    Mutant(
        "the samples wait for no search",
        "gristmill/dashboard/application.py",
        "        self.observer.sample()\n",
        "        self.observer.sample()\n        self._search()\n",
        f"{ROUND_TRIPS}::test_samples_wait_for_no_search",
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
