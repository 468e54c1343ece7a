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

  /** A cell of a table, under the head of its column: on a phone, each cell says it. */
  const td = (head, ...content) => make("td", { "data-head": head }, ...content);

  /** An SVG element with attributes and children. */
  function draw(name, attributes, ...children) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  }

  const byId = (id) => document.getElementById(id);

  /** The address of the page of a batch, or of a worker, from that of one called NAME. */
  const addressOf = (pattern, name) => pattern.replace(/NAME$/, encodeURIComponent(name));

  /** Let a form be submitted only if somebody says yes to the question, if there is one. */
  function askFirst(event, question) {
    if (question && !window.confirm(question)) event.preventDefault();
  }

  function number(value, digits) {
    if (value === null || value === undefined) return "–";
    const most = digits !== undefined ? digits : value && Math.abs(value) < 10 ? 2 : Math.abs(value) < 100 ? 1 : 0;
    return value.toLocaleString("en", { maximumFractionDigits: most });
  }

  /** A number of things: 1 slot, 2,500 slots. */
  function count(value, noun, many) {
    return number(value, 0) + " " + (value === 1 ? noun : many || noun + "s");
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

  /** A duration that is an estimate. */
  function about(seconds) {
    return seconds === null || seconds === undefined ? "–" : "≈ " + duration(seconds);
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

  /** Make `old` what `fresh` is and keep its nodes: a reader keeps the focus, a selection, an open traceback, a tick. */
  function morph(old, fresh) {
    if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName) return old.replaceWith(fresh);
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.data !== fresh.data) old.data = fresh.data;
      return undefined;
    }
    for (const { name } of [...old.attributes])
      if (name !== "open" && !fresh.hasAttribute(name)) old.removeAttribute(name);
    for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    fill(old, [...fresh.childNodes]);
    return undefined;
  }

  /** Give an element these children. One with a `data-key` becomes the child that had the key, others go by place. */
  function fill(parent, children) {
    const keys = new Map([...parent.children].filter((child) => child.dataset.key).map((child) => [child.dataset.key, child]));
    const nodes = children.map((child) => (child instanceof Node ? child : document.createTextNode(child)));
    const now = new Set(nodes.map((node) => node.dataset?.key));
    // First what goes: a node that is moved loses the focus.
    for (const [key, child] of keys) if (!now.has(key)) child.remove();
    nodes.forEach((fresh, place) => {
      const here = parent.childNodes[place], key = fresh.dataset?.key, same = key ? keys.get(key) : here;
      if (!same || (!key && here.dataset?.key)) parent.insertBefore(fresh, here || null);
      else {
        if (same !== here) parent.insertBefore(same, here);
        morph(same, fresh);
      }
    });
    while (parent.childNodes.length > nodes.length) parent.lastChild.remove();
  }

  /** Who submitted a batch, such as ann@host-a; a container's host name is a number that tells nobody anything. */
  function identity(text) {
    const [, user, host] = /^(.*)@([0-9a-f]{12})$/.exec(text) || [];
    return host ? make("span", { title: text }, user + ", in container " + host.slice(0, 4)) : make("span", {}, text);
  }

  function say(text, kind) {
    const dot = byId("status-dot");
    dot.classList.toggle("status-dot-live", kind === "live");
    dot.classList.toggle("status-dot-error", kind === "error");
    document.querySelector(".gm-page").classList.toggle("gm-stale", kind === "error");
    const status = byId("status");
    if (status.textContent !== text) status.textContent = text;
  }

  /** Milliseconds without an answer after which a page says so; where answers take long, so many times the last one,
   * within a limit. */
  const PATIENCE = 1500, TIMES = 2, MOST_PATIENCE = 10000;

  /** Request JSON from `address()` every `every()` seconds while the page is visible, and pass it to `show`. */
  function follow(address, every, show) {
    let timer = null, running = false, again = false, good = null, took = 0;

    /** Say what is wrong, and of when the numbers are that stand there. */
    function complain(text) {
      say(text + (good === null ? "" : ". The numbers are of " + clock(good, true)), "error");
    }

    async function ask() {
      if (running) {
        again = true;
        return;
      }
      clearTimeout(timer);
      running = true;
      const late = setTimeout(complain, Math.min(MOST_PATIENCE, Math.max(PATIENCE, TIMES * took)), "No answer yet"), began = performance.now();
      try {
        const answer = await fetch(address(), { credentials: "same-origin", headers: { Accept: "application/json" } });
        if (!answer.ok) throw new Error((await answer.text()).trim() || answer.statusText);
        show(await answer.json());
        good = Date.now() / 1000;
        took = performance.now() - began;
        say("Live", "live");
      } catch (error) {
        complain(error instanceof TypeError ? "No answer, retrying" : error.message);
      } finally {
        clearTimeout(late);
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

  return { make, td, draw, byId, addressOf, askFirst, number, count, duration, about, clock, day, identity, fill, follow };
})();
