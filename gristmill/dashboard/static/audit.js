/* The log of actions. */
(function () {
  "use strict";
  const { make, td, byId, addressOf, day, fill, follow, identity } = window.gristmill;
  const page = byId("audit");

  function row(entry) {
    const isThere = entry.kind === "batch" && entry.action !== "delete";
    const name = isThere ? make("a", { href: addressOf(page.dataset.batch, entry.name) }, entry.name) : entry.name;
    return make("tr", {},
      make("th", { scope: "row" }, identity(entry.by)), td("When", day(entry.at)), td("By", entry.via),
      td("Action", entry.action), td("What", entry.kind + " ", name), td("Detail", entry.detail || "–"));
  }

  follow(() => page.dataset.url, () => 5, (data) => {
    byId("empty").hidden = data.entries.length > 0;
    byId("list").hidden = data.entries.length === 0;
    byId("more").hidden = !data.more;
    fill(byId("rows"), data.entries.map(row));
  });
})();
