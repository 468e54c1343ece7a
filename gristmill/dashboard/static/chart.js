/* Line and bar charts as SVG: linear and logarithmic axes with units, panels, signs for workers; chart_reading.js has what
   a reader does with them. Colours and dashes are set in gristmill.css, by the place of a line. */
window.gristmill.Chart = (function () {
  "use strict";
  const { make, draw, clock, axes, Zoom } = window.gristmill;
  const { UNITS, logarithmic, linear, times } = axes;
  const HEIGHT = 200, PANEL = 92, PANELS_MOST = 8, LEFT = 64, RIGHT = 12, TOP = 14, BOTTOM = 26;
  /** Where scales differ so much, each group of lines has a panel of its own. */
  const APART = 20;
  /** Seconds without a sample that do not break a line. */
  const BRIDGE = 4;
  const SIGNS = { start: "▲", end: "▼", death: "✕" };

  let charts = 0;

  class Chart {
    /** `options`: title, axis (its label), unit (a key of UNITS), log, bars, zoom, marks (of workers), across. */
    constructor(options) {
      this.options = { unit: "count", zoom: new Zoom(null), ...options };
      this.unit = UNITS[this.options.unit];
      this.isLog = Boolean(options.log);
      this.apart = null;
      this.hidden = new Set();
      this.at = null;
      this.from = null;
      this.build("gm-chart-" + ++charts);
      this.options.zoom.join(this);
      this.details.addEventListener("toggle", () => this.fillTable());
      this.svg.addEventListener("pointermove", (event) => this.point(event));
      this.svg.addEventListener("pointerdown", (event) => this.press(event));
      this.svg.addEventListener("pointerup", (event) => this.release(event));
      this.svg.addEventListener("pointercancel", () => this.release(null));
      this.svg.addEventListener("pointerleave", () => this.from === null && this.look(null));
      this.svg.addEventListener("dblclick", () => this.options.zoom.set(null));
      this.svg.addEventListener("keydown", (event) => this.key(event));
      this.svg.addEventListener("blur", () => this.look(null));
      this.legend.addEventListener("click", (event) => this.toggle(event.target.closest("button")));
      new ResizeObserver(() => this.repaint()).observe(this.plot);
    }

    build(id) {
      const { title, axis, bars, log } = this.options;
      this.svg = draw("svg", { class: "gm-svg", tabindex: 0, role: "img", "aria-labelledby": id, height: HEIGHT });
      this.tip = make("div", { class: "gm-tip", hidden: true });
      this.spoken = make("div", { class: "visually-hidden", "aria-live": "polite" });
      this.legend = make("div", { class: "gm-legend" });
      this.empty = make("p", { class: "gm-none", hidden: true }, "Nothing in this time");
      this.table = make("table", { class: "table gm-table gm-numbers" });
      this.details = make("details", { class: "gm-details" }, make("summary", {}, "Show as a table"),
        make("div", { class: "table-responsive", tabindex: 0, role: "group", "aria-label": title }, this.table));
      this.plot = make("div", { class: "gm-plot" }, this.svg, this.tip, this.empty);
      const tools = make("span", { class: "gm-chart-tools" });
      if (!bars && !log) tools.append(this.switch("log", "Logarithmic axis of " + title, () => { this.isLog = !this.isLog; return this.isLog; }));
      if (!bars) {
        this.split = this.switch("split", "A panel for each group of " + title, () => { this.apart = !this.isApart(); return this.apart; });
        tools.append(this.split);
      }
      this.element = make("figure", { class: "gm-card gm-figure" },
        make("figcaption", { id }, make("span", { class: "gm-figure-title" }, title), make("span", { class: "gm-axis" }, axis)),
        tools, this.plot, this.legend, this.spoken, this.details);
    }

    switch(word, label, change) {
      const button = make("button", { type: "button", class: "gm-switch", "aria-pressed": "false", "aria-label": label }, word);
      button.addEventListener("click", () => {
        button.setAttribute("aria-pressed", String(change()));
        this.repaint();
      });
      return button;
    }

    /** `data`: first and width (seconds), number of points, lines: [{name, values, style, group}], events of workers;
        `labels` and `long` for bars. */
    show(data) {
      this.data = data;
      this.repaint();
      if (this.details.open) this.fillTable();
    }

    seen() {
      return this.data.lines.filter((line) => !this.hidden.has(line.name));
    }

    groups() {
      const groups = new Map();
      for (const line of this.seen()) groups.set(line.group, [...(groups.get(line.group) || []), line]);
      return [...groups.values()];
    }

    /** Whether each group has a panel: as somebody chose, or because their scales differ. */
    isApart() {
      const groups = this.options.bars ? [] : this.groups();
      if (groups.length < 2 || groups.length > PANELS_MOST) return false;
      if (this.apart !== null) return this.apart;
      if (this.isLog || this.unit.most) return false;
      const most = groups.map((lines) => Math.max(0, ...this.values(lines))).filter((value) => value > 0);
      return most.length > 1 && Math.max(...most) > APART * Math.min(...most);
    }

    values(lines) {
      return lines.flatMap((line) => line.values.slice(this.low, this.high + 1)).filter((value) => value !== null && value > -Infinity);
    }

    repaint() {
      if (!this.data) return;
      [this.low, this.high] = this.data.labels ? [0, this.data.number - 1] : this.options.zoom.indexes(this.data);
      const { svg } = this, isApart = this.isApart(), groups = isApart ? this.groups() : [this.seen()];
      this.split?.setAttribute("aria-pressed", String(isApart));
      this.tall = isApart ? groups.length * PANEL + TOP + BOTTOM : HEIGHT;
      this.wide = Math.max(240, this.plot.clientWidth);
      for (const [key, value] of [["viewBox", `0 0 ${this.wide} ${this.tall}`], ["width", this.wide], ["height", this.tall]]) svg.setAttribute(key, value);
      this.empty.hidden = this.values(this.seen()).length > 0;
      const parts = [];
      groups.forEach((lines, place) => parts.push(...this.panel(lines, isApart ? TOP + place * PANEL : TOP, isApart)));
      parts.push(...(this.data.labels ? this.labels() : this.xAxis()), ...this.marks());
      const upright = { y1: TOP, y2: this.tall - BOTTOM, visibility: "hidden" };
      this.cursor = draw("line", { class: "gm-cursor", ...upright });
      this.brush = draw("rect", { class: "gm-brush", y: TOP, height: this.tall - TOP - BOTTOM, visibility: "hidden" });
      svg.replaceChildren(...parts, this.brush, this.cursor);
      this.paintLegend();
      if (this.at !== null) this.look(Math.max(this.low, Math.min(this.at, this.high)));
    }

    *panel(lines, top, isApart) {
      const bottom = isApart ? top + PANEL - 14 : this.tall - BOTTOM;
      const begin = isApart ? top + 14 : top, values = this.values(lines);
      const { ticks, y } = this.isLog ? logarithmic(values, this.unit, bottom, begin) : linear(values, this.unit, bottom, begin, isApart ? 2 : 4);
      for (const tick of ticks) {
        const at = y(tick);
        yield draw("line", { class: "gm-grid", x1: LEFT, x2: this.wide - RIGHT, y1: at, y2: at });
        if (ticks.length < 8 || ticks.indexOf(tick) % 2 === 0)
          yield draw("text", { class: "gm-tick", x: LEFT - 8, y: at + 4, "text-anchor": "end" }, this.unit.text(tick));
      }
      if (isApart) yield draw("text", { class: "gm-panel", x: LEFT, y: top + 8 }, lines[0].group);
      for (const line of lines) yield* this.options.bars ? this.bars(line, y, bottom) : this.line(line, y);
    }

    /** The pixel of a point. */
    x(index) {
      const room = this.wide - LEFT - RIGHT;
      if (this.options.bars) return LEFT + (room * (index + 0.5)) / this.data.number;
      return LEFT + (room * (index - this.low)) / Math.max(1, this.high - this.low);
    }

    /** The point at a pixel of the window. */
    index(clientX) {
      const box = this.svg.getBoundingClientRect(), x = ((clientX - box.left) / box.width) * this.wide;
      const share = (x - LEFT) / (this.wide - LEFT - RIGHT), span = this.high - this.low;
      const index = this.options.bars ? Math.floor(share * this.data.number) : this.low + Math.round(share * span);
      return Math.max(this.low, Math.min(this.high, index));
    }

    *xAxis() {
      const { first, width } = this.data, begin = first + this.low * width, end = first + this.high * width, foot = this.tall - BOTTOM;
      const { ticks, step } = times(begin, end, (this.wide - LEFT - RIGHT) / 80);
      for (const at of ticks) {
        const x = this.x((at - first) / width);
        yield draw("line", { class: "gm-notch", x1: x, x2: x, y1: foot, y2: foot + 4 });
        yield draw("text", { class: "gm-tick", x, y: this.tall - 8, "text-anchor": x > this.wide - 30 ? "end" : "middle" }, clock(at, step < 60));
      }
    }

    *labels() {
      const every = Math.ceil((this.data.number * 52) / (this.wide - LEFT - RIGHT));
      for (let i = 0; i < this.data.number; i += every)
        yield draw("text", { class: "gm-tick", x: this.x(i), y: this.tall - 8, "text-anchor": "middle" }, this.data.labels[i]);
    }

    /** A sign for each start, end and death of a worker, at the top. */
    *marks() {
      const { first, width, events } = this.data;
      if (!this.options.marks) return;
      for (const event of events || []) {
        const index = (event.at - first) / width;
        if (index < this.low || index > this.high) continue;
        const x = this.x(index), style = "gm-mark gm-mark-" + event.what;
        yield draw("line", { class: style, x1: x, x2: x, y1: TOP, y2: this.tall - BOTTOM });
        yield draw("text", { class: style, x, y: TOP - 2, "text-anchor": "middle" }, SIGNS[event.what]);
      }
    }

    *line(line, y) {
      const bridge = this.data.width === 1 ? BRIDGE : 0;
      let path = "", pen = false, gap = 0;
      const dots = [], is = (i) => i >= this.low && i <= this.high && line.values[i] !== null && line.values[i] !== undefined;
      for (let i = this.low; i <= this.high; i++) {
        if (!is(i)) {
          if (++gap > bridge) pen = false;
          continue;
        }
        path += (pen ? "L" : "M") + this.x(i).toFixed(1) + " " + y(line.values[i]).toFixed(1);
        if (!pen && !is(i + 1)) dots.push(i);
        pen = true;
        gap = 0;
      }
      if (path) yield draw("path", { class: "gm-line " + line.style, d: path });
      for (const i of dots) yield draw("circle", { class: "gm-dot " + line.style, cx: this.x(i), cy: y(line.values[i]), r: 2 });
    }

    *bars(line, y, bottom) {
      const wide = Math.max(2, ((this.wide - LEFT - RIGHT) / this.data.number) * 0.8);
      for (let i = 0; i < line.values.length; i++) {
        const top = y(line.values[i]);
        yield draw("rect", { class: "gm-column " + line.style, x: this.x(i) - wide / 2, y: top, width: wide, height: bottom - top });
      }
    }
  }

  return Chart;
})();
