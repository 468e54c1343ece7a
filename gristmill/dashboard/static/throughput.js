/* The Throughput page. */
(function () {
  "use strict";
  const { make, td, byId, number, count, duration, about, fill, follow, Chart, Zoom } = window.gristmill;
  const page = byId("throughput"), buttons = document.querySelectorAll("[data-range]");
  const QUANTILES = ["p50", "p95", "p99"];
  let range = ["live", "1h", "6h", "24h"].find((one) => "#" + one === location.hash) || "live";

  const zoom = new Zoom(byId("zoom-out"));
  const chart = (title, axis, options) => new Chart({ title, axis, zoom, ...options });
  const charts = {
    rate: chart("Throughput by queue", "items per second", { unit: "rate", marks: true }),
    tasks: chart("Throughput by task", "items per second", { unit: "rate" }),
    left: chart("Backlog", "items left"),
    oldest: chart("Age of the oldest item", "time since it was stored", { unit: "seconds" }),
    wait: chart("Wait in the queue", "time (≈), logarithmic", { unit: "seconds", log: true }),
    run: chart("Run time of items", "time (≈), logarithmic", { unit: "seconds", log: true }),
    slots: chart("Slots busy", "slots; ▲ a worker started, ▼ ended, ✕ died", { marks: true }),
    hosts: chart("Machines", "% of all cores, of memory", { unit: "%" }),
  };
  byId("charts").append(...Object.values(charts).map((chart) => chart.element));

  /* The place of a queue, a task or a machine decides its colour; solid, dashed and dotted tell its lines apart. */
  const style = (place, dash) => "gm-color-" + (place % 7) + " gm-dash-" + dash;

  const some = (values) => values.some((value) => value);

  /** A line for each entry of `of` and each of `kinds`, [key, label]; without lines of zeros only, but with the first
      line of each entry when `always` is true. */
  function lines(of, kinds, always) {
    return Object.keys(of).flatMap((name, place) => kinds
      .map(([key, label], i) => ({ name: (name + " " + label).trim(), values: of[name][key], style: style(place, i), group: name, first: !i }))
      .filter((line) => (always && line.first) || some(line.values)));
  }

  const times = (queues, what) => Object.keys(queues).flatMap((name, place) => QUANTILES.map((quantile, i) =>
    ({ name: name + " " + quantile, values: queues[name][what][i], style: style(place, i), group: name })));

  function showCharts(history) {
    const { first, width, number: points, queues, tasks, hosts, events } = history;
    const show = (name, series) => charts[name].show({ first, width, number: points, lines: series, events });
    const outcomes = [["succeeded", ""], ["failed", "failed"]];
    show("rate", lines(queues, outcomes, true));
    show("tasks", lines(tasks, outcomes));
    show("left", lines(queues, [["left", ""]], true));
    show("oldest", lines(queues, [["oldest", ""]], true));
    show("wait", times(queues, "wait"));
    show("run", times(queues, "run"));
    show("slots", lines(queues, [["busy", "busy"], ["slots", "in all"]], true));
    show("hosts", lines(hosts, [["cpu", "CPU"], ["memory", "memory"]], true));
  }

  const th = (text) => make("th", { scope: "row" }, text);

  function drain(queue) {
    if (!queue.left) return "no item left";
    return queue.drain === null ? "no rate yet" : duration(queue.drain);
  }

  /** Items that nobody may take now. */
  function onHold(queue) {
    const parts = ["paused", "waiting"].filter((what) => queue[what]).map((what) => number(queue[what], 0) + " " + what);
    return parts.length ? " (" + parts.join(", ") + ")" : "";
  }

  function showTables(data) {
    fill(byId("queues"), data.queues.map((queue) => make("tr", { "data-queue": queue.name },
      th(queue.name), make("td", { "data-what": "rate", "data-head": "Items/s" }, number(queue.rate)), td("Failed/s", number(queue.failing)),
      make("td", { "data-what": "left", "data-head": "Items left" }, number(queue.left, 0) + onHold(queue)),
      td("Oldest", duration(queue.left ? queue.oldest : 0)), td("Time to drain", drain(queue)), td("Wait p95", about(queue.wait[1])),
      td("Run p95", about(queue.run[1])), td("Slots busy", number(queue.busy) + " of " + number(queue.slots)))));
    const shared = (name) => data.workers.filter((worker) => worker.name === name).length > 1;
    const coresOf = (worker) => worker.machine_cores || worker.cores;
    const workers = data.workers.map((worker) => make("tr", { "data-worker": worker.id },
      th(worker.name + (shared(worker.name) ? " (pid " + worker.pid + ")" : "")), td("Host", worker.host), td("Queue", worker.queue), td("Pool", worker.pool),
      td("Slots busy", number(worker.busy) + " of " + number(worker.slots)), td("Items/s", number(worker.rate)),
      td("Succeeded", number(worker.succeeded, 0)), td("Failed", number(worker.failed, 0)),
      td("Machine CPU", number(worker.cpu, 0) + " % of " + count(coresOf(worker), "core")),
      td("Machine memory", number(worker.used / 1024, 1) + " of " + number(worker.memory / 1024, 1) + " GiB")));
    const none = make("tr", {}, make("td", { colspan: 10, class: "empty-table-message" },
      "No worker is live. Start workers with ", make("code", {}, "gristmill up")));
    fill(byId("workers"), workers.length ? workers : [none]);
  }

  function showTasks(tasks) {
    byId("tasks-card").hidden = tasks.length === 0;
    fill(byId("tasks"), tasks.map((task) => make("tr", { "data-task": task.task },
      th(task.task), td("Workers", number(task.workers, 0)), td("Versions", number(task.versions, 0)))));
  }

  /** A text with code between backticks, as elements. */
  const marked = (text) => text.split("`").map((part, place) => (place % 2 ? make("code", {}, part) : part));

  /** What autoscale has decided, where one acts. */
  function autoscale(now) {
    if (now === null) return [];
    const queues = Object.entries(now.queues).map(([name, one]) =>
      name + " " + count(one.slots, "slot") + (one.reason ? " (" + one.reason + ")" : ""));
    const failure = now.failure ? ". The last change failed: " + now.failure : "";
    const text = "autoscale on " + now.name + ", target " + duration(now.target) + ": " + (queues.join(", ") || "nothing yet") + failure;
    return [{ level: now.failure ? "warning" : "info", text, command: null, queue: "" }];
  }

  function showAdvice(advice) {
    fill(byId("advice"), advice.filter((one) => one.level !== "idle")
      .map((one) => make("div", { class: "gm-card gm-advice-item gm-advice-" + one.level, "data-queue": one.queue },
        make("p", {}, ...marked(one.text)), one.command ? make("pre", {}, make("code", {}, one.command)) : null)));
  }

  function show(data) {
    if (data.range !== range) return;
    byId("empty").hidden = !data.empty;
    showAdvice([...data.advice, ...autoscale(data.autoscale)]);
    showTables(data);
    showTasks(data.tasks);
    showCharts(data.history);
  }

  function mark() {
    buttons.forEach((button) => {
      const current = button.dataset.range === range;
      button.setAttribute("aria-pressed", String(current));
      button.classList.toggle("active", current);
    });
  }

  mark();
  const ask = follow(() => page.dataset.url + "?range=" + range, () => (range === "live" ? 2 : 10), show);
  buttons.forEach((button) => button.addEventListener("click", () => {
    range = button.dataset.range;
    zoom.set(null);
    history.replaceState(null, "", "#" + range);
    mark();
    ask();
  }));
})();
