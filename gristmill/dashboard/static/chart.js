/* Line and bar charts as SVG: axes with units, a legend that hides lines, values under the pointer or the arrow keys,
   and the same numbers as a table. Colours and dashes are set in gristmill.css, by the place of a line. */
window.gristmill.Chart = (function () {
  "use strict";
  const { make, number, duration, clock } = window.gristmill;
  const SVG = "http://www.w3.org/2000/svg";
  const HEIGHT = 200, LEFT = 64, RIGHT = 12, TOP = 12, BOTTOM = 26;
  const TIME_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];
  const TIME_TICKS = [1e-5, 1e-4, 1e-3, 0.01, 0.1, 1, 10, 60, 600, 3600, 36000, 360000];

  /** How numbers of a unit are written, and the steps between ticks that suit it. */
  const UNITS = {
    seconds: { text: duration, steps: (rough) => (rough > 1 && TIME_STEPS.find((step) => rough <= step)) || nice(rough) },
    "%": { text: (value) => (value === null ? "–" : number(value) + " %"), steps: nice, most: 100 },
    count: { text: (value) => number(value), steps: (rough) => Math.ceil(nice(Math.max(1, rough))) },
    rate: { text: (value) => number(value), steps: nice },
  };

  function nice(rough) {
    const power = Math.pow(10, Math.floor(Math.log10(rough)));
    for (const step of [1, 2, 2.5, 5, 10]) if (rough <= step * power * 1.0001) return step * power;
    return 10 * power;
  }

  function draw(name, attributes, text) {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    return element;
  }

  let charts = 0;

  class Chart {
    /** `options`: title, axis (its label), unit (a key of UNITS), log, bars, note. */
    constructor(options) {
      this.options = { unit: "count", ...options };
      this.unit = UNITS[this.options.unit];
      this.hidden = new Set();
      this.at = null;
      const id = "gm-chart-" + ++charts;
      this.svg = draw("svg", { class: "gm-svg", tabindex: 0, role: "img", "aria-labelledby": id, height: HEIGHT });
      this.tip = make("div", { class: "gm-tip", hidden: true });
      this.spoken = make("div", { class: "visually-hidden", "aria-live": "polite" });
      this.legend = make("div", { class: "gm-legend" });
      this.empty = make("p", { class: "gm-none" }, "Nothing in this time");
      this.table = make("table", { class: "table gm-table gm-numbers" });
      this.details = make("details", { class: "gm-details" }, make("summary", {}, "Show as a table"),
        make("div", { class: "table-responsive" }, this.table));
      this.plot = make("div", { class: "gm-plot" }, this.svg, this.tip, this.empty);
      this.element = make("figure", { class: "gm-card gm-figure" },
        make("figcaption", { id }, make("span", { class: "gm-figure-title" }, this.options.title),
          make("span", { class: "gm-axis" }, this.options.axis)),
        this.plot, this.legend, this.spoken, this.details);
      this.details.addEventListener("toggle", () => this.fillTable());
      this.svg.addEventListener("pointermove", (event) => this.point(event));
      this.svg.addEventListener("pointerdown", (event) => this.point(event));
      this.svg.addEventListener("pointerleave", () => this.look(null));
      this.svg.addEventListener("keydown", (event) => this.key(event));
      this.svg.addEventListener("blur", () => this.look(null));
      new ResizeObserver(() => this.data && this.paint()).observe(this.plot);
    }

    /** `data`: first and width (seconds), number of points, lines: [{name, values, style}]; `labels` for bars. */
    show(data) {
      this.data = data;
      this.paint();
      if (this.details.open) this.fillTable();
    }

    seen() {
      return this.data.lines.filter((line) => !this.hidden.has(line.name));
    }

    paint() {
      const { svg, data } = this, lines = this.seen();
      this.wide = Math.max(240, this.plot.clientWidth);
      svg.setAttribute("viewBox", `0 0 ${this.wide} ${HEIGHT}`);
      svg.setAttribute("width", this.wide);
      const values = lines.flatMap((line) => line.values.filter((value) => value !== null && value > -Infinity));
      this.empty.hidden = values.length > 0;
      this.scale(values);
      const parts = [...this.yAxis(), ...(data.labels ? this.labels() : this.xAxis())];
      for (const line of lines) parts.push(...(this.options.bars ? this.bars(line) : this.line(line)));
      this.cursor = draw("line", { class: "gm-cursor", y1: TOP, y2: HEIGHT - BOTTOM, visibility: "hidden" });
      parts.push(this.cursor);
      svg.replaceChildren(...parts);
      this.paintLegend();
      if (this.at !== null) this.look(Math.min(this.at, data.number - 1));
    }

    scale(values) {
      const tall = HEIGHT - TOP - BOTTOM, bottom = HEIGHT - BOTTOM;
      if (this.options.log) {
        const some = values.filter((value) => value > 0);
        const least = Math.min(...some, 1), most = Math.max(...some, 0.1);
        const low = TIME_TICKS.findLastIndex((tick) => tick <= least * 1.001);
        const high = TIME_TICKS.findIndex((tick) => tick >= most * 0.999);
        this.ticks = TIME_TICKS.slice(Math.max(0, low), Math.max(high, low + 1) + 1);
        const from = Math.log10(this.ticks[0]), span = Math.log10(this.ticks[this.ticks.length - 1]) - from;
        this.y = (value) => bottom - (tall * (Math.log10(Math.max(value, this.ticks[0])) - from)) / span;
        return;
      }
      const most = this.unit.most || Math.max(...values, 0) || 1;
      const step = this.unit.steps(most / 4), top = Math.ceil((most / step) * 0.9999) * step;
      this.y = (value) => bottom - (tall * value) / top;
      this.ticks = [];
      for (let i = 0; i * step <= top * 1.0001; i++) this.ticks.push(i * step);
    }

    x(index) {
      const room = this.wide - LEFT - RIGHT;
      if (this.options.bars) return LEFT + (room * (index + 0.5)) / this.data.number;
      return LEFT + (room * index) / Math.max(1, this.data.number - 1);
    }

    *yAxis() {
      for (const tick of this.ticks) {
        const y = this.y(tick);
        yield draw("line", { class: "gm-grid", x1: LEFT, x2: this.wide - RIGHT, y1: y, y2: y });
        yield draw("text", { class: "gm-tick", x: LEFT - 8, y: y + 4, "text-anchor": "end" }, this.unit.text(tick));
      }
    }

    *xAxis() {
      const { first, width, number: points } = this.data, span = width * (points - 1);
      const rough = (span * 80) / (this.wide - LEFT - RIGHT);
      const step = TIME_STEPS.find((one) => one >= rough) || 86400;
      const shift = new Date(first * 1000).getTimezoneOffset() * 60;
      for (let at = Math.ceil((first - shift) / step) * step + shift; at <= first + span; at += step) {
        const x = this.x((at - first) / width);
        yield draw("line", { class: "gm-notch", x1: x, x2: x, y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM + 4 });
        const anchor = x > this.wide - 30 ? "end" : "middle";
        yield draw("text", { class: "gm-tick", x, y: HEIGHT - 8, "text-anchor": anchor }, clock(at, step < 60));
      }
    }

    *labels() {
      const every = Math.ceil((this.data.number * 52) / (this.wide - LEFT - RIGHT));
      for (let i = 0; i < this.data.number; i += every)
        yield draw("text", { class: "gm-tick", x: this.x(i), y: HEIGHT - 8, "text-anchor": "middle" }, this.data.labels[i]);
    }

    *line(line) {
      let path = "", pen = false, gap = 0, alone = [];
      line.values.forEach((value, i) => {
        if (value === null || value === undefined) {
          // A few points that are missing do not break a line.
          if (++gap > 4) pen = false;
          return;
        }
        path += (pen ? "L" : "M") + this.x(i).toFixed(1) + " " + this.y(value).toFixed(1);
        if (!pen && (line.values[i + 1] === null || i === line.values.length - 1)) alone.push(i);
        pen = true;
        gap = 0;
      });
      if (path) yield draw("path", { class: "gm-line " + line.style, d: path });
      for (const i of alone)
        yield draw("circle", { class: "gm-dot " + line.style, cx: this.x(i), cy: this.y(line.values[i]), r: 2 });
    }

    *bars(line) {
      const wide = Math.max(2, ((this.wide - LEFT - RIGHT) / this.data.number) * 0.8);
      for (let i = 0; i < line.values.length; i++) {
        const y = this.y(line.values[i]);
        yield draw("rect", { class: "gm-column " + line.style, x: this.x(i) - wide / 2, y, width: wide, height: HEIGHT - BOTTOM - y });
      }
    }

    paintLegend() {
      const names = this.data.lines.map((line) => line.name + line.style).join("\n");
      if (this.legendOf === names) return;
      this.legendOf = names;
      this.legend.replaceChildren(...(this.data.lines.length > 1 ? this.data.lines : []).map((line) => {
        const key = draw("svg", { class: "gm-key", width: 28, height: 10, "aria-hidden": "true" });
        key.append(draw("line", { class: "gm-line " + line.style, x1: 1, x2: 27, y1: 5, y2: 5 }));
        const button = make("button", { type: "button", class: "gm-legend-item", "aria-pressed": "true" }, key, line.name);
        button.setAttribute("aria-pressed", String(!this.hidden.has(line.name)));
        button.addEventListener("click", () => {
          if (!this.hidden.delete(line.name)) this.hidden.add(line.name);
          button.setAttribute("aria-pressed", String(!this.hidden.has(line.name)));
          this.paint();
        });
        return button;
      }));
    }

    when(index) {
      if (this.data.labels) return this.data.long ? this.data.long[index] : this.data.labels[index];
      return clock(this.data.first + index * this.data.width, this.data.width < 60);
    }

    point(event) {
      if (!this.data) return;
      const box = this.svg.getBoundingClientRect();
      const x = ((event.clientX - box.left) / box.width) * this.wide, steps = this.data.number;
      const share = (x - LEFT) / (this.wide - LEFT - RIGHT);
      const index = this.options.bars ? Math.floor(share * steps) : Math.round(share * (steps - 1));
      this.look(Math.max(0, Math.min(steps - 1, index)));
    }

    key(event) {
      if (!this.data) return;
      const last = this.data.number - 1, now = this.at === null ? last : this.at;
      const to = { ArrowLeft: now - 1, ArrowRight: now + 1, Home: 0, End: last, PageUp: now - 10, PageDown: now + 10 }[event.key];
      if (event.key === "Escape") this.look(null);
      if (to === undefined) return;
      event.preventDefault();
      this.look(Math.max(0, Math.min(last, this.at === null ? last : to)));
      this.spoken.textContent = this.when(this.at) + ": " +
        this.seen().map((line) => line.name + " " + this.unit.text(line.values[this.at])).join(", ");
    }

    look(index) {
      this.at = index;
      this.tip.hidden = index === null;
      if (!this.cursor) return;
      this.cursor.setAttribute("visibility", index === null ? "hidden" : "visible");
      if (index === null) return;
      const x = this.x(index);
      this.cursor.setAttribute("x1", x);
      this.cursor.setAttribute("x2", x);
      this.tip.replaceChildren(make("strong", {}, this.when(index)), ...this.seen().map((line) =>
        make("span", {}, line.name + ": " + this.unit.text(line.values[index]))));
      // Beside the pointer, on the side that has room.
      const side = x > this.wide / 2, room = side ? this.wide - x + 10 : x + 10;
      this.tip.style.left = side ? "auto" : room + "px";
      this.tip.style.right = side ? room + "px" : "auto";
    }

    fillTable() {
      if (!this.details.open || !this.data) return;
      const { lines, number: points } = this.data;
      const rows = [];
      for (let i = points - 1; i >= 0; i--)
        rows.push(make("tr", {}, make("th", { scope: "row" }, this.when(i)),
          ...lines.map((line) => make("td", {}, this.unit.text(line.values[i])))));
      if (this.data.labels) rows.reverse();
      this.table.replaceChildren(
        make("caption", { class: "visually-hidden" }, this.options.title + ", " + this.options.axis),
        make("thead", {}, make("tr", {}, make("th", { scope: "col" }, this.data.labels ? this.options.across : "Time"),
          ...lines.map((line) => make("th", { scope: "col" }, line.name)))),
        make("tbody", {}, ...rows));
    }
  }

  return Chart;
})();
