/* The parts of a batch that several pages show: its bar, and its state as a word with a mark. */
(function () {
  "use strict";
  const { make, number } = window.gristmill;
  const SVG = "http://www.w3.org/2000/svg";
  const MARKS = { scheduled: "◷", open: "⇣", submitting: "⇡", abandoned: "⚠", waiting: "◌", running: "▶", paused: "‖",
    succeeded: "✓", failed: "✗", cancelled: "⊘", draining: "⇣", live: "●" };

  /** The bar: green for items that succeeded, red for those that failed, hatched grey for those that were cancelled;
      `complete`: all items are stored. */
  function bar(batch, complete) {
    const bad = batch.failed + batch.dead, cancelled = batch.cancelled, whole = batch.submitted || 1;
    const exact = (100 * batch.done) / whole, percent = exact < 10 ? Math.floor(10 * exact) / 10 : Math.floor(exact);
    const svg = document.createElementNS(SVG, "svg");
    for (const [key, value] of [["class", "gm-bar"], ["viewBox", "0 0 100 4"], ["preserveAspectRatio", "none"], ["aria-hidden", "true"]])
      svg.setAttribute(key, value);
    const parts = [["gm-bar-all", 0, whole], ["gm-bar-done", 0, batch.succeeded], ["gm-bar-failed", batch.succeeded, bad],
      ["gm-bar-cancelled", batch.succeeded + bad, cancelled]];
    for (const [style, from, items] of parts) {
      const part = document.createElementNS(SVG, "rect");
      part.setAttribute("class", style);
      part.setAttribute("x", (100 * from) / whole);
      part.setAttribute("width", (100 * items) / whole);
      part.setAttribute("height", 4);
      svg.append(part);
    }
    const words = number(batch.done, 0) + " of " + number(batch.submitted, 0) + (complete ? "" : " so far") +
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

  Object.assign(window.gristmill, { bar, state });
})();
