/* The list of batches. */
(function () {
  "use strict";
  const { make, td, byId, addressOf, number, duration, day, identity, fill, follow, ENDED, bar, state, filter, choice } = window.gristmill;
  const page = byId("batches");
  const under = (...words) => make("div", { class: "gm-under" }, ...words);

  function link(name, words) {
    return make("a", { href: addressOf(page.dataset.batch, name) }, words || name);
  }

  function timeLeft(batch) {
    if (ENDED.includes(batch.state)) return "took " + duration(batch.seconds);
    if (batch.scheduled_at !== null) return "begins " + day(batch.scheduled_at);
    return batch.seconds_left === null ? "–" : duration(batch.seconds_left);
  }

  /** What a state alone does not tell. */
  function detail(batch) {
    if (batch.abandoned_at !== null) return under("at item " + number(batch.submitted, 0) + " since " + day(batch.abandoned_at) + "; the same command goes on");
    if (batch.reason) return under(batch.reason);
    return batch.held_by ? under("held by " + batch.hold) : null;
  }

  /** The batches that it follows, and the schedule that made it. */
  function origin(batch) {
    const parts = [];
    const after = batch.after.filter((one) => one.split(":")[0] !== batch.from_batch);
    if (batch.from_batch) parts.push(under("takes values of ", link(batch.from_batch)));
    for (const one of after.slice(0, 3)) parts.push(under("after ", link(one.split(":")[0], one)));
    if (after.length > 3) parts.push(under("and " + (after.length - 3) + " more"));
    if (parts.length) parts.push(under(make("a", { href: "?sort=created&workflow=" + encodeURIComponent(batch.name) }, "its workflow")));
    if (batch.schedule) parts.push(under("made by schedule " + batch.schedule));
    return parts;
  }

  function labels(batch) {
    return Object.entries(batch.labels).map(([key, value]) => key + "=" + value).map((word) =>
      make("a", { class: "gm-label", href: "?label=" + encodeURIComponent(word), title: "Batches with this label" }, word));
  }

  function row(batch) {
    const box = choice && make("td", { class: "gm-tick" }, make("input", { type: "checkbox", class: "form-check-input", value: batch.name, "aria-label": "Choose " + batch.name }));
    return make("tr", { "data-batch": batch.name, "data-key": batch.name }, box,
      make("th", { scope: "row" }, link(batch.name), under(batch.task, ...labels(batch)), ...origin(batch)),
      make("td", {}, state(batch.state), detail(batch)), make("td", {}, bar(batch)),
      td("Items/s", number(batch.rate)), td("Time", timeLeft(batch)),
      td("Failed", number(batch.failed, 0) + (batch.dead ? ", " + number(batch.dead, 0) + " dead" : "")),
      td("By", identity(batch.submitted_by)), td("Created", day(batch.created)));
  }

  function summary(data) {
    const last = data.first + data.batches.length, all = number(data.total, 0);
    const of = data.selected === data.total ? all : number(data.selected, 0) + (data.selected === 1 ? " that fits, and " : " that fit, and ") + all + " in all";
    byId("more").textContent = data.batches.length ? number(data.first + 1, 0) + " to " + number(last, 0) + " of " + of
      : data.total ? "No batch fits; there " + (data.total === 1 ? "is " : "are ") + all + "." : "";
    byId("previous").disabled = data.first === 0;
    byId("next").disabled = last >= data.selected;
  }

  const ask = follow(() => page.dataset.url + "?" + filter.query(), () => 2, (data) => {
    window.gristmill.schedules(data.schedules);
    byId("empty").hidden = data.total > 0;
    byId("list").hidden = data.total === 0;
    fill(byId("rows"), data.batches.map(row));
    fill(byId("task-names"), data.tasks.map((task) => make("option", { value: task })));
    summary(data);
    if (choice) choice.tell();
    if (!data.batches.length && data.selected) filter.toFirst();
  });
  filter.listen(ask);
  if (choice) choice.listen(ask);
})();
