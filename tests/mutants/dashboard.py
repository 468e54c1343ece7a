"""Guards of what the dashboard shows."""

from tests.mutants.mutant import TRUE, Mutant

ROUND_TRIPS = "tests/integration/test_round_trips.py"
SLOW_PAGES = "tests/integration/test_slow_pages.py"
CONTROLS = "tests/acceptance/test_flowers_controls.py"

MUTANTS = (
    Mutant(
        "what visitors share is of their second",
        "gristmill/dashboard/shared_look.py",
        "    return arrived - ended <= FRESH_SECONDS\n",
        "    return ended > 0\n",
        f"{ROUND_TRIPS}::test_all_visitors_of_a_second_share_a_look",
        TRUE,
    ),
    Mutant(
        "what a page made of the look before is not shown again",
        "gristmill/dashboard/shared_look.py",
        "if not _is_fresh(page.ended, arrived):",
        "if page.ended < 0:",
        f"{ROUND_TRIPS}::test_all_visitors_of_a_second_share_a_look",
        TRUE,
    ),
    Mutant(
        "whoever waits for a slow page gets it",
        "gristmill/dashboard/shared_look.py",
        "_is_fresh(page.ended, arrived)",
        "_is_fresh(page.ended, time.monotonic())",
        f"{ROUND_TRIPS}::test_whoever_waits_for_a_slow_page_gets_it",
        TRUE,
    ),
    Mutant(
        "a refusal is of one page",
        "gristmill/dashboard/shared_look.py",
        "_SILENCE = (exceptions.ConnectionError, exceptions.TimeoutError)\n",
        "_SILENCE = exceptions.RedisError\n",
        f"{ROUND_TRIPS}::test_a_refusal_is_of_one_page",
        TRUE,
    ),
    Mutant(
        "whoever asks for a page waits for none that is slow",
        "gristmill/dashboard/shared_look.py",
        "setdefault(name, _PageValue())",
        'setdefault("", _PageValue())',
        f"{SLOW_PAGES}::test_whoever_asks_for_a_page_waits_for_none_that_is_slow",
        TRUE,
    ),
    Mutant(
        "questions of a kind wait for none of another kind",
        "gristmill/dashboard/asking.py",
        "threads(self.kind if looks else Asking)",
        "threads(Asking)",
        f"{SLOW_PAGES}::test_questions_of_a_kind_wait_for_none_of_another_kind",
        TRUE,
    ),
    Mutant(
        "a look waits for no search of batches",
        "gristmill/dashboard/batch_list.py",
        "self._infos = InfoCache(observer.client, observer.settings)",
        "self._infos = observer.batches",
        f"{SLOW_PAGES}::test_a_look_waits_for_no_search_of_batches",
        TRUE,
    ),
    Mutant(
        "the metrics wait for no search",
        "gristmill/dashboard/message_watch.py",
        "            self._answer = orphans(",
        "            with self._shared_look._lock: self._answer = orphans(",
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
    Mutant(
        "remote control changes the slots that are counted",
        "gristmill/worker/heartbeat.py",
        "        add_commands(worker.consumer)\n",
        "",
        f"{CONTROLS}::test_what_nobody_would_count_is_refused_and_says_why",
        TRUE,
    ),
    Mutant(
        "remote control leaves a worker a slot",
        "gristmill/worker/pool/size.py",
        "if not 0 < self._own + more <= MOST:",
        "if not self._own + more <= MOST:",
        f"{CONTROLS}::test_what_nobody_would_count_is_refused_and_says_why",
        TRUE,
    ),
    Mutant(
        "remote control leaves the slots that autoscale has decided on",
        "gristmill/worker/pool/size.py",
        "        if self._wish.slots is not None:\n",
        "        if False:\n",
        f"{CONTROLS}::test_what_autoscale_has_decided_stays",
        TRUE,
    ),
    Mutant(
        "a call waits for nobody who waits for a result",
        "gristmill/dashboard/flower_pages.py",
        "    async def run_blocking(",
        "    async def run_as_flower_does(",
        f"{SLOW_PAGES}::test_who_calls_a_task_waits_for_nobody_who_waits_for_a_result",
        TRUE,
    ),
)
