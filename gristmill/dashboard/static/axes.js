/* The scales of charts: how numbers of a unit are written, and where ticks stand. */
window.gristmill.axes = (function () {
  "use strict";
  const { number, duration } = window.gristmill;
  const TIME_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];
  const TIME_TICKS = [1e-5, 1e-4, 1e-3, 0.01, 0.1, 1, 10, 60, 600, 3600, 36000, 360000];
  const POWERS = [...Array(16).keys()].map((power) => Math.pow(10, power - 3));

  function nice(rough) {
    const power = Math.pow(10, Math.floor(Math.log10(rough)));
    for (const step of [1, 2, 2.5, 5, 10]) if (rough <= step * power * 1.0001) return step * power;
    return 10 * power;
  }

  const UNITS = {
    seconds: { text: duration, steps: (rough) => (rough > 1 && TIME_STEPS.find((step) => rough <= step)) || nice(rough), powers: TIME_TICKS },
    "%": { text: (value) => (value === null ? "–" : number(value) + " %"), steps: nice, most: 100, powers: POWERS },
    count: { text: (value) => number(value), steps: (rough) => Math.ceil(nice(Math.max(1, rough))), powers: POWERS },
    rate: { text: (value) => number(value), steps: nice, powers: POWERS },
  };

  /** A logarithmic scale between `bottom` and `top`, in pixels; what is 0 or less stands at the bottom. */
  function logarithmic(values, unit, bottom, top) {
    const some = values.filter((value) => value > 0), powers = unit.powers;
    const least = some.length ? Math.min(...some) : 1, most = some.length ? Math.max(...some) : 10;
    // Two powers at least, also for values below or above all of them.
    const low = Math.max(0, Math.min(powers.findLastIndex((power) => power <= least * 1.001), powers.length - 2));
    const high = powers.findIndex((power) => power >= most * 0.999);
    const ticks = powers.slice(low, high < 0 ? powers.length : Math.max(high, low + 1) + 1);
    const from = Math.log10(ticks[0]), span = Math.log10(ticks[ticks.length - 1]) - from;
    return { ticks, y: (value) => bottom - ((bottom - top) * (Math.log10(Math.max(value, ticks[0])) - from)) / span };
  }

  /** A linear scale that begins at 0; `marks` is about how many ticks it has. */
  function linear(values, unit, bottom, top, marks) {
    const most = unit.most || Math.max(...values, 0) || 1;
    const step = unit.steps(most / marks), end = Math.ceil((most / step) * 0.9999) * step, ticks = [];
    for (let i = 0; i * step <= end * 1.0001; i++) ticks.push(i * step);
    return { ticks, y: (value) => bottom - ((bottom - top) * value) / end };
  }

  /** The Unix times, in seconds, of the ticks of a time axis, and the seconds between them. */
  function times(first, last, most) {
    const step = TIME_STEPS.find((one) => one >= (last - first) / most) || 86400;
    const shift = new Date(first * 1000).getTimezoneOffset() * 60, ticks = [];
    for (let at = Math.ceil((first - shift) / step) * step + shift; at <= last; at += step) ticks.push(at);
    return { ticks, step };
  }

  return { UNITS, logarithmic, linear, times };
})();
