/* The stretch of time that the charts of a page show: all of them the same one. */
window.gristmill.Zoom = (function () {
  "use strict";

  class Zoom {
    /** `button` shows everything again; it is hidden while everything is shown. */
    constructor(button) {
      this.charts = [];
      this.button = button;
      this.range = null;
      button?.addEventListener("click", () => this.set(null));
    }

    join(chart) {
      this.charts.push(chart);
    }

    /** Show the Unix times `range` [from, to] in seconds; null: everything. */
    set(range) {
      this.range = range;
      if (this.button) this.button.hidden = range === null;
      for (const chart of this.charts) chart.repaint();
    }

    /** The first and the last index of the points to draw. */
    indexes({ first, width, number }) {
      if (!this.range) return [0, number - 1];
      const from = Math.ceil((this.range[0] - first) / width), to = Math.floor((this.range[1] - first) / width);
      const low = Math.min(Math.max(0, from), Math.max(0, number - 2));
      return [low, Math.max(Math.min(number - 1, to), Math.min(low + 1, number - 1))];
    }

    /** Zoom in (`factor` below 1) or out around the point `index` of what `data` has. */
    around(data, index, factor) {
      const [low, high] = this.indexes(data), span = (high - low) * factor;
      if (span >= data.number - 1) return this.set(null);
      if (span < 2) return undefined;
      const share = high > low ? (index - low) / (high - low) : 0.5;
      const from = Math.max(0, Math.min(data.number - 1 - span, index - share * span));
      return this.set([data.first + from * data.width, data.first + (from + span) * data.width]);
    }
  }

  return Zoom;
})();
