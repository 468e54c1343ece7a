/* The items that run now. */
(function () {
  "use strict";
  const { make, td, byId, addressOf, askFirst, number, duration, day, follow } = window.gristmill;
  const page = byId("busy"), rows = byId("rows"), form = byId("end-form");

  function progress(item) {
    if (item.progress === null) return "–";
    const bar = item.share === null ? null : make("progress", { max: 1, value: item.share, "aria-label": "Progress of item " + item.index });
    return make("div", { class: "gm-item-progress" }, bar, make("span", {}, item.progress));
  }

  function end(item) {
    const copy = form.content.firstElementChild.cloneNode(true);
    copy.action = page.dataset.cancel.replace("NAME", encodeURIComponent(item.batch)).replace(/0(?=\/cancel$)/, item.index);
    copy.querySelector("button").setAttribute("aria-label", "End item " + item.index + " of " + item.batch);
    copy.addEventListener("submit", (event) =>
      askFirst(event, "End item " + item.index + " of " + item.batch + "? It will count as cancelled."));
    return copy;
  }

  /** The fields that change while the item runs. */
  function show(row, item) {
    row.querySelector("[data-part=seconds]").textContent = duration(Math.floor(item.seconds));
    row.querySelector("[data-part=progress]").replaceChildren(progress(item));
    return row;
  }

  function newRow(key, item) {
    const address = addressOf(page.dataset.batch, item.batch);
    return make("tr", { "data-key": key, "data-batch": item.batch, "data-index": item.index },
      make("th", { scope: "row" }, make("a", { href: address }, item.batch), " #" + item.index),
      make("td", { class: "gm-input-cell" }, make("code", { class: "gm-input" }, item.input)),
      make("td", { "data-part": "seconds", "data-head": "Running for", title: "since " + day(item.started) }),
      td("Attempt", number(item.attempt, 0)), make("td", { "data-part": "progress", "data-head": "Progress" }),
      td("Worker", item.worker), td("Process", String(item.pid)),
      form ? make("td", {}, end(item)) : null);
  }

  follow(() => page.dataset.url, () => 1, (data) => {
    byId("empty").hidden = data.total > 0;
    byId("list").hidden = data.total === 0;
    // A row stays while its item runs, so that its button can be pressed.
    const before = new Map([...rows.children].map((row) => [row.dataset.key, row]));
    const now = data.items.map((item) => {
      const key = [item.batch, item.index, item.attempt, item.worker].join(" ");
      return show(before.get(key) || newRow(key, item), item);
    });
    if (now.length !== rows.children.length || now.some((row, place) => rows.children[place] !== row)) rows.replaceChildren(...now);
    byId("more").textContent = data.total > data.items.length
      ? "The slowest " + data.items.length + " of " + number(data.total, 0) + "." : "";
  });
})();
