/* What our pages share: elements, numbers as text, and requests for data while the page is visible. */
window.gristmill = (function () {
  "use strict";

  /** An element with attributes and children; texts become text, never markup. */
  function make(name, attributes, ...children) {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (key === "class") element.className = value;
      else element.setAttribute(key, value === true ? "" : value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  }

  function number(value, digits) {
    if (value === null || value === undefined) return "–";
    const most = digits !== undefined ? digits : value && Math.abs(value) < 10 ? 2 : Math.abs(value) < 100 ? 1 : 0;
    return value.toLocaleString("en", { maximumFractionDigits: most });
  }

  /** Seconds in words: 12 ms, 7 s, 3 min 20 s, 2 h 5 min. */
  function duration(seconds) {
    if (seconds === null || seconds === undefined) return "–";
    if (seconds < 1e-9) return "0 s";
    if (seconds < 0.001) return number(seconds * 1e6, 0) + " µs";
    if (seconds < 1) return number(seconds * 1e3, seconds < 0.01 ? 1 : 0) + " ms";
    if (seconds < 10) return number(seconds, 1) + " s";
    const whole = Math.round(seconds);
    if (whole < 60) return whole + " s";
    if (whole < 3600) return Math.floor(whole / 60) + " min" + (whole % 60 ? " " + (whole % 60) + " s" : "");
    const hours = Math.floor(whole / 3600), minutes = Math.floor((whole % 3600) / 60);
    return hours + " h" + (minutes ? " " + minutes + " min" : "");
  }

  function pad(value) {
    return String(value).padStart(2, "0");
  }

  /** A Unix time as the clock shows it here. */
  function clock(seconds, withSeconds) {
    const date = new Date(seconds * 1000);
    return pad(date.getHours()) + ":" + pad(date.getMinutes()) + (withSeconds ? ":" + pad(date.getSeconds()) : "");
  }

  function day(seconds) {
    const date = new Date(seconds * 1000);
    return date.getFullYear() + "-" + pad(date.getMonth() + 1) + "-" + pad(date.getDate()) + " " + clock(seconds, true);
  }

  /** Replace the children of an element, unless they are the same: a reader keeps the place. */
  function fill(parent, children) {
    const fresh = document.createElement(parent.tagName);
    fresh.append(...children);
    if (fresh.innerHTML !== parent.innerHTML) parent.replaceChildren(...fresh.childNodes);
  }

  function say(text, kind) {
    const dot = document.getElementById("status-dot");
    dot.classList.toggle("status-dot-live", kind === "live");
    dot.classList.toggle("status-dot-error", kind === "error");
    const status = document.getElementById("status");
    if (status.textContent !== text) status.textContent = text;
  }

  /** Request JSON from `address()` every `every()` seconds while the page is visible, and pass it to `show`. */
  function follow(address, every, show) {
    let timer = null, running = false, again = false;

    async function ask() {
      if (running) {
        again = true;
        return;
      }
      clearTimeout(timer);
      running = true;
      try {
        const answer = await fetch(address(), { credentials: "same-origin", headers: { Accept: "application/json" } });
        if (!answer.ok) throw new Error((await answer.text()).trim() || answer.statusText);
        const data = await answer.json();
        if (show(data) === false) {
          say("Finished", "");
          running = false;
          return;
        }
        say("Live", "live");
      } catch (error) {
        say(error instanceof TypeError ? "No answer, retrying" : error.message, "error");
      }
      running = false;
      if (again && !document.hidden) {
        again = false;
        ask();
      } else if (!document.hidden) timer = setTimeout(ask, 1000 * every());
    }

    document.addEventListener("visibilitychange", function () {
      if (document.hidden) {
        clearTimeout(timer);
        say("Paused", "");
      } else ask();
    });
    if (document.hidden) say("Paused", "");
    else ask();
    return ask;
  }

  /** The bar of a batch: green for succeeded items, striped red for others with an outcome; `complete`: all are stored. */
  function bar(batch, complete) {
    const ended = batch.failed + batch.dead + batch.cancelled, whole = batch.submitted || 1;
    const exact = (100 * batch.done) / whole, percent = exact < 10 ? Math.floor(10 * exact) / 10 : Math.floor(exact);
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("class", "gm-bar");
    svg.setAttribute("viewBox", "0 0 100 4");
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("aria-hidden", "true");
    const parts = [["gm-bar-done", 0, batch.succeeded], ["gm-bar-failed", batch.succeeded, ended]];
    for (const [style, from, items] of [["gm-bar-all", 0, whole], ...parts]) {
      const part = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      part.setAttribute("class", style);
      part.setAttribute("x", (100 * from) / whole);
      part.setAttribute("width", (100 * items) / whole);
      part.setAttribute("height", 4);
      svg.append(part);
    }
    const words = number(batch.done, 0) + " of " + number(batch.submitted, 0) + (complete ? "" : " so far") +
      (ended ? ", " + number(ended, 0) + " without success" : "");
    return make("div", { class: "gm-progress" },
      make("div", {
        role: "progressbar", "aria-label": "Progress of " + batch.name, "aria-valuemin": 0, "aria-valuemax": 100,
        "aria-valuenow": percent, "aria-valuetext": percent + " %, " + words,
      }, svg),
      make("span", { class: "gm-percent" }, percent + " %"), make("span", { class: "gm-of" }, words));
  }

  const MARKS = { scheduled: "◷", open: "⇣", submitting: "⇡", abandoned: "⚠", running: "▶", paused: "⏸", succeeded: "✓", failed: "✗", cancelled: "⊘" };

  function state(word) {
    return make("span", { class: "gm-state gm-state-" + word },
      make("span", { "aria-hidden": "true" }, (MARKS[word] || "") + " "), word);
  }

  return { make, number, duration, clock, day, fill, follow, bar, state };
})();
