/* The parts of a batch that several pages show: its bar, and its state as a word with a mark; and what states mean. */
(function () {
  "use strict";
  const { make, draw, number } = window.gristmill;
  const ENDED = ["succeeded", "failed", "cancelled"], OPEN = ["open", "submitting", "abandoned"];
  const MARKS = { scheduled: "◷", open: "⇣", submitting: "⇡", abandoned: "⚠", waiting: "◌", running: "▶", paused: "‖",
    succeeded: "✓", failed: "✗", cancelled: "⊘", draining: "⇣", live: "●" };

  /** The bar: green for items that succeeded, red for those that failed, grey for those that were cancelled. */
  function bar(batch) {
    const bad = batch.failed + batch.dead, cancelled = batch.cancelled, whole = batch.submitted || 1;
    const exact = (100 * batch.done) / whole, percent = exact < 10 ? Math.floor(10 * exact) / 10 : Math.floor(exact);
    const parts = [["gm-bar-all", 0, whole], ["gm-bar-done", 0, batch.succeeded], ["gm-bar-failed", batch.succeeded, bad],
      ["gm-bar-cancelled", batch.succeeded + bad, cancelled]];
    const svg = draw("svg", { class: "gm-bar", viewBox: "0 0 100 4", preserveAspectRatio: "none", "aria-hidden": "true" },
      ...parts.map(([style, from, items]) =>
        draw("rect", { class: style, x: (100 * from) / whole, width: (100 * items) / whole, height: 4 })));
    // More items may come.
    const soFar = OPEN.includes(batch.state) || batch.taking ? " so far" : "";
    const words = number(batch.done, 0) + " of " + number(batch.submitted, 0) + soFar +
      (bad ? ", " + number(bad, 0) + " failed" : "") + (cancelled ? ", " + number(cancelled, 0) + " cancelled" : "");
    return make("div", { class: "gm-progress" },
      make("div", {
        role: "progressbar", "aria-label": "Progress of " + batch.name, "aria-valuemin": 0, "aria-valuemax": 100,
        "aria-valuenow": percent, "aria-valuetext": percent + " %, " + words,
      }, svg),
      make("span", { class: "gm-percent" }, percent + " %"), make("span", { class: "gm-of" }, words));
  }

  function state(word) {
    return make("span", { class: "gm-state gm-state-" + word },
      make("span", { "aria-hidden": "true" }, (MARKS[word] || "") + " "), word);
  }

  Object.assign(window.gristmill, { ENDED, bar, state });
})();
