/* The list of workers. */
(function () {
  "use strict";
  const { make, td, byId, addressOf, askFirst, number, count, fill, follow, state } = window.gristmill;
  const page = byId("workers-page"), form = byId("worker-form");
  // Flower's own script takes the page for its own.
  window.autorefresh = 0;
  const QUESTIONS = {
    drain: "? It takes nothing new and finishes what runs; Undrain takes it back.",
    stop: "? It finishes what runs and ends; gristmill up does not start it again.",
  };

  function button(worker, action) {
    const copy = form.content.firstElementChild.cloneNode(true);
    copy.action = page.dataset.action.replace(/drain$/, action);
    copy.dataset.what = action;
    copy.dataset.name = worker.name;
    copy.elements.worker.setAttribute("value", worker.id);
    const press = copy.querySelector("button");
    press.textContent = action[0].toUpperCase() + action.slice(1);
    press.setAttribute("aria-label", press.textContent + " " + worker.name);
    if (action === "stop") press.classList.replace("btn-outline-secondary", "btn-outline-danger");
    return copy;
  }

  /** Machine, container and process: three things. */
  function place(worker, shared) {
    const machine = worker.container && worker.machine ? "container " + worker.host + " on " + (worker.machine_name || "machine " + worker.machine.slice(0, 6)) : worker.host;
    return machine + ", pid " + worker.pid + (shared ? "; other workers have this name too" : "");
  }

  function row(worker, shared) {
    const address = addressOf(page.dataset.worker, worker.name);
    const gib = (mebibytes) => number(mebibytes / 1024, 1), cores = worker.machine_cores || worker.cores;
    const actions = form && make("td", {}, make("div", { class: "gm-tools" },
      button(worker, worker.draining ? "undrain" : "drain"), button(worker, "stop")));
    return make("tr", { "data-worker": worker.id, "data-key": worker.id },
      make("th", { scope: "row" }, make("a", { href: address }, worker.name), make("div", { class: "gm-under" }, place(worker, shared))),
      td("State", state(worker.draining ? "draining" : "live")),
      td("Queue", worker.queue), td("Pool", worker.pool), td("Slots busy", number(worker.busy, 0) + " of " + number(worker.slots, 0),
        worker.tuning ? make("div", { class: "gm-under" }, worker.tuning) : null),
      td("Items/s", number(worker.rate)), td("Succeeded", number(worker.succeeded, 0)), td("Failed", number(worker.failed, 0)),
      td("CPU", number(worker.cpu, 0) + " % of " + count(cores, "core")),
      td("Memory", gib(worker.used) + " of " + gib(worker.memory) + " GiB"), actions);
  }

  byId("rows").addEventListener("submit", (event) => {
    const { what, name } = event.target.dataset;
    askFirst(event, QUESTIONS[what] && what[0].toUpperCase() + what.slice(1) + " " + name + QUESTIONS[what]);
  });

  follow(() => page.dataset.url, () => 2, (data) => {
    const workers = data.workers, names = workers.map((worker) => worker.name);
    const sum = (field) => workers.reduce((total, worker) => total + worker[field], 0);
    byId("empty").hidden = workers.length > 0;
    byId("list").hidden = workers.length === 0;
    byId("summary").textContent = workers.length ? count(workers.length, "worker") + ", " +
      number(sum("busy"), 0) + " of " + count(sum("slots"), "slot") + " busy" : "";
    fill(byId("rows"), workers.map((worker) => row(worker, names.filter((name) => name === worker.name).length > 1)));
  });
})();
