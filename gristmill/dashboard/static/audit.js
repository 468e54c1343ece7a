/* The log of actions. */
(function () {
  "use strict";
  const { make, day, fill, follow, identity } = window.gristmill;
  const page = document.getElementById("audit"), byId = (id) => document.getElementById(id);

  function row(entry) {
    const column = (head, ...content) => make("td", { "data-head": head }, ...content);
    const address = page.dataset.batch.replace(/NAME$/, encodeURIComponent(entry.name));
    const name = entry.kind === "batch" && entry.action !== "delete" ? make("a", { href: address }, entry.name) : entry.name;
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
