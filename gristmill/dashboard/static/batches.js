/* The list of batches. */
(function () {
  "use strict";
  const { make, number, duration, day, fill, follow, bar, state } = window.gristmill;
  const page = document.getElementById("batches");
  const ENDED = ["succeeded", "failed", "cancelled"], OPEN = ["open", "submitting", "abandoned"];

  function timeLeft(batch) {
    if (ENDED.includes(batch.state)) return "took " + duration(batch.seconds);
    if (batch.scheduled_at !== null) return "begins " + day(batch.scheduled_at);
    return batch.seconds_left === null ? "–" : duration(batch.seconds_left);
  }

  function abandoned(batch) {
    return batch.abandoned_at === null ? null : make("div", { class: "gm-under" },
      "at item " + number(batch.submitted, 0) + " since " + day(batch.abandoned_at) + "; the same command goes on");
  }

  function row(batch) {
    const address = page.dataset.batch.replace(/NAME$/, encodeURIComponent(batch.name));
    return make("tr", { "data-batch": batch.name },
      make("th", { scope: "row" }, make("a", { href: address }, batch.name), make("div", { class: "gm-under" }, batch.task)),
      make("td", {}, state(batch.state), abandoned(batch)), make("td", {}, bar(batch, !OPEN.includes(batch.state))),
      make("td", {}, number(batch.rate)), make("td", {}, timeLeft(batch)), make("td", {}, number(batch.failed, 0) + (batch.dead ? ", " + number(batch.dead, 0) + " dead" : "")),
      make("td", {}, batch.submitted_by), make("td", {}, day(batch.created)));
  }

  follow(() => page.dataset.url, () => 2, (data) => {
    window.gristmill.schedules(data.schedules);
    document.getElementById("empty").hidden = data.total > 0;
    document.getElementById("list").hidden = data.total === 0;
    fill(document.getElementById("rows"), data.batches.map(row));
    document.getElementById("more").textContent = data.total > data.batches.length
      ? `The newest ${data.batches.length} of ${number(data.total, 0)}; \`gristmill batches\` lists all of them.` : "";
  });
})();
