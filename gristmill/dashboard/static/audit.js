/* The log of actions. */
(function () {
  "use strict";
  const { make, cell, byId, addressOf, day, fill, follow, identity } = window.gristmill;
  const page = byId("audit");

  function row(entry) {
    const isThere = entry.kind === "batch" && entry.action !== "delete";
    const name = isThere ? make("a", { href: addressOf(page.dataset.batch, entry.name) }, entry.name) : entry.name;
    return make("tr", {},
      make("th", { scope: "row" }, identity(entry.by)), cell("When", day(entry.at)), cell("By", entry.via),
      cell("Action", entry.action), cell("What", entry.kind + " ", name), cell("Detail", entry.detail || "–"));
  }

  follow(() => page.dataset.url, () => 5, (data) => {
    byId("empty").hidden = data.entries.length > 0;
    byId("list").hidden = data.entries.length === 0;
    byId("more").hidden = !data.more;
    fill(byId("rows"), data.entries.map(row));
  });
})();
