/* The batches that have a tick, and what is done with all of them. */
window.gristmill.choice = (function () {
  "use strict";
  const { byId, number, count } = window.gristmill;
  const page = byId("batches"), form = byId("choice");
  const all = byId("choose-all"), answer = byId("choice-answer");
  const buttons = form.querySelectorAll("[data-many]");
  const names = new Set();
  const boxes = () => [...document.querySelectorAll("#rows input[type=checkbox]")];

  function tell() {
    for (const box of boxes()) box.checked = names.has(box.value);
    for (const button of buttons) button.disabled = names.size === 0;
    const ticked = boxes().filter((box) => box.checked).length;
    all.checked = ticked > 0 && ticked === boxes().length;
    all.indeterminate = ticked > 0 && !all.checked;
    byId("choice-number").textContent =
      names.size ? count(names.size, "batch", "batches") + " chosen" : "Choose all on this page";
  }

  function choose(box) {
    if (box.checked) names.add(box.value);
    else names.delete(box.value);
  }

  async function act(what, again) {
    const many = count(names.size, "batch", "batches");
    const effect = what === "retry" ? "Their failed and dead items run again." : "Items that have not started will not run.";
    if (!window.confirm((what === "retry" ? "Retry " : "Cancel ") + many + "? " + effect)) return;
    const body = new URLSearchParams(new FormData(form));
    for (const name of names) body.append("name", name);
    const reply = await fetch(page.dataset.action.replace(/retry$/, what), { method: "POST", body, credentials: "same-origin" });
    if (!reply.ok) {
      answer.textContent = (await reply.text()).trim() || reply.statusText;
      return;
    }
    const { changed, reasons } = await reply.json();
    const words = number(changed, 0) + (what === "cancel" ? " cancelled" : changed === 1 ? " runs again" : " run again");
    answer.textContent = words + (reasons.length ? "; not " + number(reasons.length, 0) + ": " + reasons.slice(0, 3).join("; ") + (reasons.length > 3 ? "; …" : "") : "");
    names.clear();
    tell();
    again();
  }

  byId("rows").addEventListener("change", (event) => {
    choose(event.target);
    tell();
  });
  all.addEventListener("change", () => {
    for (const box of boxes()) {
      box.checked = all.checked;
      choose(box);
    }
    tell();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  return {
    tell,
    listen: (again) => buttons.forEach((button) => button.addEventListener("click", () =>
      act(button.dataset.many, again).catch(() => { answer.textContent = "No answer: look at the list, and try again."; }))),
  };
})();
