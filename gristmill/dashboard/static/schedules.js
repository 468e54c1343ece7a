/* The schedules on the page of batches. */
window.gristmill.schedules = (function () {
  "use strict";
  const { make, td, byId, addressOf, number, day, fill, state } = window.gristmill;
  const page = byId("batches"), form = byId("schedule-form");

  function button(schedule, action) {
    const copy = form.content.firstElementChild.cloneNode(true);
    copy.action = page.dataset.schedule.replace("NAME", encodeURIComponent(schedule.name)).replace(/run$/, action);
    copy.querySelector("button").textContent = action[0].toUpperCase() + action.slice(1);
    copy.querySelector("button").setAttribute("aria-label", action + " schedule " + schedule.name);
    return copy;
  }

  function lastBatch(schedule) {
    if (schedule.last_batch === null) return "–";
    return make("a", { href: addressOf(page.dataset.batch, schedule.last_batch) }, schedule.last_batch);
  }

  function row(schedule) {
    const next = schedule.paused ? state("paused") : schedule.next === null ? "–" : day(schedule.next);
    const reason = schedule.reason && make("div", { class: "gm-under" }, schedule.reason);
    return make("tr", { "data-schedule": schedule.name, "data-key": schedule.name },
      make("th", { scope: "row" }, schedule.name, make("div", { class: "gm-under" }, schedule.task)),
      td("Times", make("code", {}, schedule.timetable), make("div", { class: "gm-under" }, schedule.timezone)),
      td("Next", next), td("Last batch", lastBatch(schedule)),
      td("Runs", number(schedule.runs, 0)),
      td("Left out", number(schedule.left_out, 0), reason), td("Items", number(schedule.items, 0)),
      form ? make("td", {}, make("div", { class: "gm-tools" }, button(schedule, "run"), button(schedule, schedule.paused ? "resume" : "pause"))) : null);
  }

  return function (schedules) {
    byId("schedules").hidden = schedules.length === 0;
    fill(byId("schedule-rows"), schedules.map(row));
  };
})();
