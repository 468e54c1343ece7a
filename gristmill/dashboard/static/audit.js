/* The log of actions. */
(function () {
  "use strict";
  const { make, byId, addressOf, day, fill, follow, identity } = window.gristmill;
  const page = byId("audit");

  function row(entry) {
    const column = (head, ...content) => make("td", { "data-head": head }, ...content);
    const isThere = entry.kind === "batch" && entry.action !== "delete";
    const name = isThere ? make("a", { href: addressOf(page.dataset.batch, entry.name) }, entry.name) : entry.name;
    return make("tr", {},
      make("th", { scope: "row" }, identity(entry.by)), column("When", day(entry.at)), column("By", entry.via),
      column("Action", entry.action), column("What", entry.kind + " ", name), column("Detail", entry.detail || "–"));
  }

  follow(() => page.dataset.url, () => 5, (data) => {
    byId("empty").hidden = data.entries.length > 0;
    byId("list").hidden = data.entries.length === 0;
    byId("more").hidden = !data.more;
    fill(byId("rows"), data.entries.map(row));
  });
})();
