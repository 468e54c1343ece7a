/* The workflow of a batch: a box for each batch, in the order in which they follow one another. */
(function () {
  "use strict";
  const { number, count, make, draw } = window.gristmill;
  const WIDTH = 190, HEIGHT = 54, ACROSS = 60, DOWN = 14, EDGE = 2;

  function short(text) {
    return text.length > 24 ? text.slice(0, 23) + "…" : text;
  }

  /** Where each box stands: its column, and its place there. */
  function places(boxes) {
    const used = {}, at = {};
    for (const box of boxes) {
      const row = used[box.column] = (used[box.column] ?? -1) + 1;
      at[box.name] = { x: EDGE + box.column * (WIDTH + ACROSS), y: EDGE + row * (HEIGHT + DOWN) };
    }
    return at;
  }

  function line(at, link) {
    const from = at[link.from], to = at[link.to];
    const x1 = from.x + WIDTH, y1 = from.y + HEIGHT / 2, x2 = to.x - 6, y2 = to.y + HEIGHT / 2, half = (x1 + x2) / 2;
    const words = link.takes ? "values of " + link.from + " are items of " + link.to
      : link.to + " begins when " + link.from + (link.ended ? " has ended" : " has succeeded");
    return draw("path", {
      class: "gm-chain-line" + (link.takes ? " gm-chain-values" : ""), "marker-end": "url(#gm-arrow)",
      d: `M${x1},${y1} C${half},${y1} ${half},${y2} ${x2},${y2}`,
    }, draw("title", {}, words));
  }

  function box(at, one, self, address) {
    const { x, y } = at[one.name];
    const counts = number(one.done, 0) + " of " + number(one.submitted, 0) + (one.failed ? ", " + number(one.failed, 0) + " failed" : "");
    const group = draw("g", {},
      draw("title", {}, one.name + ": " + one.task + ", " + one.state + ", " + counts),
      draw("rect", { x, y, width: WIDTH, height: HEIGHT, rx: 6, class: "gm-chain-box" + (one.name === self ? " gm-chain-self" : "") }),
      draw("text", { x: x + 10, y: y + 22, class: "gm-chain-name" }, short(one.name)),
      draw("text", { x: x + 10, y: y + 42, class: "gm-chain-state gm-chain-" + one.state }, one.state),
      draw("text", { x: x + WIDTH - 10, y: y + 42, class: "gm-chain-counts" }, number(one.done, 0) + " / " + number(one.submitted, 0)));
    return draw("a", { href: address(one.name) }, group);
  }

  /** The drawing of a workflow, whose batch `self` the page shows; `address` makes the link of a batch's page. */
  function chain(workflow, self, address) {
    const at = places(workflow.boxes), all = Object.values(at);
    const width = Math.max(...all.map((place) => place.x)) + WIDTH + EDGE;
    const height = Math.max(...all.map((place) => place.y)) + HEIGHT + EDGE;
    const arrow = draw("marker", { id: "gm-arrow", viewBox: "0 0 8 8", refX: 2, refY: 4, markerWidth: 8, markerHeight: 8, orient: "auto" },
      draw("path", { d: "M0,0 L8,4 L0,8 z", class: "gm-chain-arrow" }));
    const drawing = draw("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "Workflow of batch " + self },
      draw("defs", {}, arrow), ...workflow.lines.map((link) => line(at, link)),
      ...workflow.boxes.map((one) => box(at, one, self, address)));
    return [drawing, workflow.more ? make("p", { class: "gm-note" }, count(workflow.more, "more batch", "more batches")) : ""];
  }

  window.gristmill.chain = chain;
})();
