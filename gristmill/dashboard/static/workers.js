/* The list of workers. */
(function () {
  "use strict";
  const { make, number, fill, follow } = window.gristmill;
  const page = document.getElementById("workers-page");
  // Flower's own script takes the page for its own.
  window.autorefresh = 0;
  const byId = (id) => document.getElementById(id);

  function row(worker, shared) {
    const address = page.dataset.worker.replace(/NAME$/, encodeURIComponent(worker.name));
    const cell = (head, ...content) => make("td", { "data-head": head }, ...content);
    const gib = (mebibytes) => number(mebibytes / 1024, 1);
    return make("tr", { "data-worker": worker.id, "data-key": worker.id },
      make("th", { scope: "row" }, make("a", { href: address }, worker.name),
        make("div", { class: "gm-under" }, worker.host + ", pid " + worker.pid + (shared ? "; other workers have this name too" : ""))),
      cell("Queue", worker.queue), cell("Pool", worker.pool), cell("Slots busy", number(worker.busy, 0) + " of " + number(worker.slots, 0)),
      cell("Items/s", number(worker.rate)), cell("Succeeded", number(worker.succeeded, 0)), cell("Failed", number(worker.failed, 0)),
      cell("CPU", number(worker.cpu, 0) + " % of " + worker.cores + (worker.cores === 1 ? " core" : " cores")),
      cell("Memory", gib(worker.used) + " of " + gib(worker.memory) + " GiB"));
  }

  follow(() => page.dataset.url, () => 2, (data) => {
    const workers = data.workers, names = workers.map((worker) => worker.name);
    const sum = (field) => number(workers.reduce((total, worker) => total + worker[field], 0), 0);
    byId("empty").hidden = workers.length > 0;
    byId("list").hidden = workers.length === 0;
    byId("summary").textContent = workers.length ? number(workers.length, 0) + (workers.length === 1 ? " worker, " : " workers, ") +
      sum("busy") + " of " + sum("slots") + " slots busy" : "";
    fill(byId("rows"), workers.map((worker) => row(worker, names.filter((name) => name === worker.name).length > 1)));
  });
})();
