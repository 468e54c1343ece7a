/* How a chart is read: its legend, values under the pointer or the arrow keys, the stretch of time that is shown, and the
   numbers as a table. */
(function () {
  "use strict";
  const { make, draw, clock, fill, Chart } = window.gristmill;
  const WORDS = { start: "started", end: "ended", death: "died" }, EVENTS_MOST = 5;
  /** Points that a drag has to pass to zoom: less is a click. */
  const DRAG = 3;

  Object.assign(Chart.prototype, {
    paintLegend() {
      const lines = this.data.lines.length > 1 ? this.data.lines : [];
      fill(this.legend, lines.map((line) => {
        const key = draw("svg", { class: "gm-key", width: 28, height: 10, "aria-hidden": "true" },
          draw("line", { class: "gm-line " + line.style, x1: 1, x2: 27, y1: 5, y2: 5 }));
        const pressed = String(!this.hidden.has(line.name));
        return make("button", { type: "button", class: "gm-legend-item", "aria-pressed": pressed, "data-key": line.name }, key, line.name);
      }));
    },

    /** Hide or show the line of a button of the legend. */
    toggle(button) {
      if (!button) return;
      if (!this.hidden.delete(button.dataset.key)) this.hidden.add(button.dataset.key);
      this.repaint();
    },

    when(index) {
      if (this.data.labels) return this.data.long ? this.data.long[index] : this.data.labels[index];
      return clock(this.data.first + index * this.data.width, this.data.width < 60);
    },

    /** What became of workers in the stretch of a point. */
    eventsAt(index) {
      if (!this.options.marks) return [];
      const { first, width, events } = this.data;
      const near = (events || []).filter((event) => Math.round((event.at - first) / width) === index);
      const words = near.slice(0, EVENTS_MOST).map((event) => event.worker + " " + WORDS[event.what]);
      return near.length > EVENTS_MOST ? [...words, "and " + (near.length - EVENTS_MOST) + " more"] : words;
    },

    point(event) {
      if (!this.data) return;
      const index = this.index(event.clientX);
      this.look(index);
      if (this.from === null) return;
      const [low, high] = [Math.min(this.from, index), Math.max(this.from, index)];
      this.brush.setAttribute("x", this.x(low));
      this.brush.setAttribute("width", this.x(high) - this.x(low));
      this.brush.setAttribute("visibility", "visible");
    },

    press(event) {
      this.point(event);
      // A finger scrolls the page.
      if (!this.data || this.data.labels || event.pointerType === "touch" || event.button !== 0) return;
      this.from = this.index(event.clientX);
      this.svg.setPointerCapture(event.pointerId);
    },

    release(event) {
      const from = this.from;
      this.from = null;
      this.brush?.setAttribute("visibility", "hidden");
      if (event === null || from === null || !this.data) return;
      const to = this.index(event.clientX), { first, width } = this.data;
      if (Math.abs(to - from) < DRAG) return;
      this.options.zoom.set([first + Math.min(from, to) * width, first + Math.max(from, to) * width]);
    },

    key(event) {
      if (!this.data) return;
      const { low, high } = this, now = this.at === null ? high : this.at;
      if (event.key === "Escape") {
        if (this.at === null) this.options.zoom.set(null);
        this.look(null);
        return;
      }
      if ("+=-".includes(event.key) && !this.data.labels) {
        this.options.zoom.around(this.data, now, event.key === "-" ? 2 : 0.5);
        return;
      }
      const to = { ArrowLeft: now - 1, ArrowRight: now + 1, Home: low, End: high, PageUp: now - 10, PageDown: now + 10 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      this.look(Math.max(low, Math.min(high, this.at === null ? high : to)));
      const values = this.seen().map((line) => line.name + " " + this.unit.text(line.values[this.at]));
      this.spoken.textContent = this.when(this.at) + ": " + [...values, ...this.eventsAt(this.at)].join(", ");
    },

    /** Show the values of a point beside it; null: none. */
    look(index) {
      this.at = index;
      this.tip.hidden = index === null;
      if (!this.cursor) return;
      this.cursor.setAttribute("visibility", index === null ? "hidden" : "visible");
      if (index === null) return;
      const x = this.x(index);
      this.cursor.setAttribute("x1", x);
      this.cursor.setAttribute("x2", x);
      this.tip.replaceChildren(make("strong", {}, this.when(index)),
        ...this.seen().map((line) => make("span", {}, line.name + ": " + this.unit.text(line.values[index]))),
        ...this.eventsAt(index).map((words) => make("span", {}, words)));
      // Beside the pointer, on the side that has room.
      const side = x > this.wide / 2, room = side ? this.wide - x + 10 : x + 10;
      this.tip.style.left = side ? "auto" : room + "px";
      this.tip.style.right = side ? room + "px" : "auto";
    },

    fillTable() {
      if (!this.details.open || !this.data) return;
      const { lines, number: points } = this.data, rows = [];
      for (let i = points - 1; i >= 0; i--)
        rows.push(make("tr", {}, make("th", { scope: "row" }, this.when(i)),
          ...lines.map((line) => make("td", {}, this.unit.text(line.values[i])))));
      if (this.data.labels) rows.reverse();
      this.table.replaceChildren(
        make("caption", { class: "visually-hidden" }, this.options.title + ", " + this.options.axis),
        make("thead", {}, make("tr", {}, make("th", { scope: "col" }, this.data.labels ? this.options.across : "Time"),
          ...lines.map((line) => make("th", { scope: "col" }, line.name)))),
        make("tbody", {}, ...rows));
    },
  });
})();
