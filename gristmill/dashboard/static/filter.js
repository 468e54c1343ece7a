/* The filter of the list of batches, which the page's address carries: a link or a bookmark shows the same list. */
window.gristmill.filter = (function () {
  "use strict";
  const { byId, make } = window.gristmill;
  const form = byId("filter"), FIRST = "-created";
  let page = 1, changed = () => {};

  /** The query that the form and the page make, without what is empty. */
  function query() {
    const words = new URLSearchParams();
    for (const [name, value] of new FormData(form))
      if (value.trim() && !(name === "sort" && value === FIRST)) words.append(name, value.trim());
    if (page > 1) words.set("page", page);
    return words.toString();
  }

  /** Take what the address says. */
  function read() {
    const words = new URLSearchParams(location.search);
    for (const field of form.elements) if (field.name) field.value = words.get(field.name) || (field.name === "sort" ? FIRST : "");
    page = Math.max(1, parseInt(words.get("page"), 10) || 1);
  }

  function go(to) {
    page = to;
    const words = query();
    history.replaceState(null, "", location.pathname + (words ? "?" + words : ""));
    changed();
  }

  /** A click on the head of a column sorts by it, a second one the other way round. */
  function heads() {
    for (const head of document.querySelectorAll("[data-sort]")) {
      const button = make("button", { type: "button", class: "gm-head" }, ...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const down = "-" + head.dataset.sort;
        form.elements.sort.value = form.elements.sort.value === down ? head.dataset.sort : down;
        go(1);
      });
    }
  }

  function mark() {
    const sort = form.elements.sort.value;
    for (const head of document.querySelectorAll("[data-sort]")) {
      if (sort.replace("-", "") !== head.dataset.sort) head.removeAttribute("aria-sort");
      else head.setAttribute("aria-sort", sort[0] === "-" ? "descending" : "ascending");
    }
  }

  form.addEventListener("input", () => go(1));
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(() => {
    form.elements.sort.value = FIRST;
    go(1);
  }));
  byId("previous").addEventListener("click", () => go(page - 1));
  byId("next").addEventListener("click", () => go(page + 1));
  read();
  heads();
  mark();
  return { query, listen: (listener) => { changed = () => { mark(); listener(); }; }, toFirst: () => page > 1 && go(1) };
})();
