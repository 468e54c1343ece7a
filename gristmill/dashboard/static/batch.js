/* One batch. */
(function () {
  "use strict";
  const { make, td, byId, askFirst, number, count, duration, day, fill, follow, ENDED, bar, state, chain, Chart, Zoom } = window.gristmill;
  const page = byId("batch");
  let starts = [-1], more = false, latest = null;

  const progress = new Chart({ title: "Progress", axis: "outcomes, also those before a retry", zoom: new Zoom(byId("zoom-out")) });
  const runs = new Chart({ title: "Run time of items", axis: "items", bars: true, across: "Up to" });
  byId("charts").append(progress.element, runs.element);

  function words(data) {
    const batch = data.batch, slowest = data.running;
    const parts = [number(batch.rate) + " items/s"];
    if (ENDED.includes(batch.state)) parts.push("took " + duration(batch.seconds));
    else if (batch.seconds_left !== null) parts.push(duration(batch.seconds_left) + " left");
    if (batch.held_by) parts.push("held by " + batch.hold);
    if (slowest && slowest.seconds >= 5) {
      parts.push("item " + slowest.index + " runs for " + duration(Math.floor(slowest.seconds))
        + (slowest.progress ? " (" + slowest.progress + ")" : ""));
    }
    if (batch.abandoned_at !== null) {
      parts.push("abandoned at item " + number(batch.submitted, 0) + " since " + day(batch.abandoned_at)
        + ": the same command goes on");
    }
    if (batch.state === "waiting") parts.push("waits for " + batch.after.join(", "));
    if (batch.reason) parts.push("cancelled: " + batch.reason);
    if (batch.superseded.length) parts.push("took the first end of " + batch.superseded.join(", ") + ", whose items ran again");
    return parts.join(", ");
  }

  /** What became of the last notice of the batch. */
  function notice(last) {
    const tries = last.tries + (last.tries === 1 ? " try" : " tries");
    const parts = [last.event + ": " + last.state];
    if (last.state === "delivered") parts.push(day(last.at));
    if (last.state !== "delivered" && last.tries) parts.push(tries);
    if (last.error) parts.push(last.error);
    return parts.join(", ");
  }

  function counts(data) {
    const batch = data.batch;
    const rows = [
      ["Submitted", number(batch.submitted, 0)], ["Succeeded", number(batch.succeeded, 0)],
      ["Failed", number(batch.failed, 0)], ["Dead", number(batch.dead, 0)], ["Cancelled", number(batch.cancelled, 0)],
      ["Left", number(batch.left, 0)], ["Failed at least once", number(data.attempts.failed_once, 0)],
      ["Waiting for a retry", number(data.attempts.waiting, 0)], ["Duplicates", number(batch.duplicates, 0)],
      ["Rejected", number(batch.rejected, 0)], ["Run time p50, 95, 99", data.times.every((one) => one === null) ? "–" : "≈ " + data.times.map(duration).join(", ")],
      ["Created", day(batch.created)], ["Finished", batch.finished ? day(batch.finished) : "–"],
    ];
    if (batch.logs_lost) rows.push(["Output not kept, runs", number(batch.logs_lost, 0)]);
    const labels = Object.entries(batch.labels).map(([name, value]) => name + "=" + value);
    if (labels.length) rows.push(["Labels", labels.join(", ")]);
    if (batch.notify) rows.push(["Notifies", batch.notify]);
    if (batch.notice) rows.push(["Notice", notice(batch.notice)]);
    return rows.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value)));
  }

  function actions(batch) {
    const ended = ENDED.includes(batch.state), bad = batch.failed + batch.dead > 0;
    const may = {
      pause: !ended && batch.state !== "paused", resume: batch.state === "paused", retry: bad, cancel: !ended,
    };
    document.querySelectorAll("[data-action]").forEach((form) => { form.hidden = !may[form.dataset.action]; });
    byId("download-failed").hidden = !bad;
  }

  function failure(item) {
    return make("li", { "data-key": "f" + item.index, "data-index": item.index },
      make("div", { class: "gm-failure" },
        make("span", { class: "gm-index" }, "#" + item.index), make("code", { class: "gm-input" }, item.input),
        make("span", { class: "gm-error" }, item.type + (item.message ? ": " + item.message : ""))),
      make("div", { class: "gm-under" }, (item.state === "failed" ? "" : item.state + ", ") + item.attempts +
        (item.attempts === 1 ? " attempt, " : " attempts, ") + duration(item.seconds) + " on " + item.worker),
      item.traceback ? make("details", {}, make("summary", {}, "Traceback"), make("pre", {}, make("code", {}, item.traceback))) : null,
      item.log ? make("details", {}, make("summary", {}, "Output"), make("pre", {}, make("code", {}, item.log))) : null);
  }

  function failures(data) {
    byId("no-failures").hidden = data.failures.length > 0;
    fill(byId("failures"), data.failures.map(failure));
    more = data.more;
    byId("more").hidden = !more && starts.length === 1;
    byId("more").textContent = more ? "Next failed items" : "First failed items";
  }

  /** Equal errors, once more items have failed or are to run again. */
  async function errors({ batch, progress }) {
    const bad = batch.failed + batch.dead, card = byId("errors-card"), of = [bad, progress.failed.at(-1), batch.finished].join();
    if (card.dataset.of === of) return;
    card.dataset.of = of;
    if (bad < 2) {
      card.hidden = true;
      return;
    }
    const answer = await fetch(page.dataset.page + "/errors", { credentials: "same-origin" });
    if (!answer.ok) throw new Error((await answer.text()).trim());
    const { groups, counted, number: all } = await answer.json();
    // A newer question has been asked meanwhile.
    if (card.dataset.of !== of) return;
    fill(byId("errors"), groups.map((group) => make("tr", { "data-key": "e" + group.first },
      td("Items", number(group.items, 0)), make("td", { class: "gm-error" }, group.type + (group.message ? ": " + group.message : "")),
      td("First item", "#" + group.first))));
    byId("errors-note").textContent = (counted < bad ? "Of the first " + number(counted, 0) + " failed and dead items. " : "")
      + (all > groups.length ? count(all - groups.length, "rarer error is", "rarer errors are") + " not listed." : "");
    card.hidden = false;
  }

  function workflow(data) {
    byId("workflow-card").hidden = !data.workflow;
    const base = page.dataset.page.slice(0, page.dataset.page.lastIndexOf("/") + 1);
    if (!data.workflow) return;
    const drawing = byId("workflow"), isFirst = !drawing.firstChild;
    fill(drawing, chain(data.workflow, data.batch.name, (name) => base + encodeURIComponent(name)));
    // On a narrow screen, the page's own batch may be beyond the edge.
    if (isFirst) {
      const own = drawing.querySelector(".gm-chain-self");
      drawing.scrollLeft = own.x.baseVal.value - (drawing.clientWidth - own.width.baseVal.value) / 2;
    }
    document.querySelectorAll("[data-workflow-action]").forEach((form) => {
      form.hidden = !data.workflow.may[form.dataset.workflowAction];
    });
  }

  function show(data) {
    const batch = data.batch;
    workflow(data);
    fill(byId("state"), [state(batch.state)]);
    byId("words").textContent = words(data);
    fill(byId("bar"), [bar(batch)]);
    fill(byId("counts"), counts(data));
    actions(batch);
    const lines = [{ name: "succeeded", values: data.progress.succeeded, style: "gm-color-2 gm-dash-0" }];
    if (batch.failed + batch.dead) lines.push({ name: "failed", values: data.progress.failed, style: "gm-color-1 gm-dash-1" });
    progress.show({ first: data.progress.first, width: data.progress.width, number: data.progress.number, lines });
    runs.show({
      number: data.runs.length, labels: data.runs.map((run) => duration(run.upto)), first: 0, width: 1,
      long: data.runs.map((run) => "up to " + duration(run.upto)),
      lines: [{ name: "items", values: data.runs.map((run) => run.items), style: "gm-color-0" }],
    });
    byId("slowest-card").hidden = data.slowest.length === 0;
    fill(byId("slowest"), data.slowest.map((item) => make("tr", {},
      make("th", { scope: "row" }, "#" + item.index), td("Run time", duration(item.seconds)),
      make("td", { class: "gm-input-cell" }, make("code", { class: "gm-input" }, item.input)))));
    failures(data);
    errors(data).catch(() => { delete byId("errors-card").dataset.of; });
    latest = batch;
  }

  const ask = follow(() => page.dataset.url + "?after=" + starts[starts.length - 1], () => 2, show);

  byId("more").addEventListener("click", () => {
    starts = more ? [...starts, Number(byId("failures").lastElementChild.dataset.index)] : [-1];
    ask();
  });

  document.querySelectorAll("[data-action]").forEach((form) => form.addEventListener("submit", (event) => {
    askFirst(event, latest && {
      cancel: "Cancel this batch? " + count(latest.left, "item") + " without an outcome; those that have not started will not run.",
      retry: "Run " + count(latest.failed + latest.dead, "item") + " again, which failed or are dead?",
    }[form.dataset.action]);
  }));

  document.querySelectorAll("[data-workflow-action]").forEach((form) => form.addEventListener("submit", (event) => {
    askFirst(event, {
      cancel: "Cancel all batches of this workflow? Their items that have not started will not run.",
      retry: "Run the failed and dead items of all batches of this workflow again?",
    }[form.dataset.workflowAction]);
  }));
})();
