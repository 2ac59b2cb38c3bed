// Plots that every page of tidegate draws the same way, with uPlot: a card each, with a title, what good looks like, and a
// key whose entries switch lines on and off.
"use strict";
const DASH = { solid: [], dashed: [8, 5], dotted: [2, 4], long: [14, 5] };
const PATTERNS = [DASH.solid, DASH.dashed, DASH.dotted, DASH.long];
const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// Series of different clocks on one axis: every time once, gaps bridged.
function joined(parts) {
  const times = [...new Set(parts.flatMap(part => part[0]))].sort((a, b) => a - b);
  const columns = parts.map(([ts, values]) => {
    const at = new Map(ts.map((t, i) => [t, values[i]]));
    return times.map(t => at.has(t) ? at.get(t) : undefined);
  });
  return [times, ...columns];
}

// Seconds since 1970 as times of the day, or as days when the steps are days.
const clock = (plot, times, axis, space, step) => times.map(at => {
  const iso = new Date(at * 1000).toISOString();
  return step >= 86400 ? iso.slice(0, 10) : iso.slice(11, step >= 60 ? 16 : 19);
});

function draw(box, chart, axes) {
  box.replaceChildren();
  if (!chart.lines.length) {
    box.innerHTML = '<p class="none">None in this run.</p>';
    return null;
  }
  const axis = label => ({ label, labelSize: 22, stroke: css("--soft"), font: "12px system-ui", labelFont: "12px system-ui",
    grid: { stroke: css("--grid"), width: 1 }, ticks: { stroke: css("--grid"), width: 1 } });
  const points = joined(chart.lines.map(line => line.points));
  const until = chart.until || axes.until;
  const zooms = points[0][points[0].length - 1] > until * 1.01;
  const x = axes.clock ? { auto: false, min: chart.from ?? axes.from, max: until }
    : zooms ? { time: false, auto: false, min: 0, max: until } : { time: false, range: [0, until] };
  return new uPlot({
    width: box.clientWidth, height: chart.height || 250,
    scales: { x, y: { range: (u, low, high) => [0, Math.max(1, high * 1.08)] } },
    axes: [axes.clock ? { ...axis(axes.x), values: clock, space: 90 } : axis(axes.x), { ...axis(chart.unit), size: 58 }],
    tzDate: at => uPlot.tzDate(new Date(at * 1000), "UTC"),
    cursor: { drag: { x: zooms || Boolean(axes.clock), y: false } },
    series: [{}, ...chart.lines.map(line => ({ label: line.label, stroke: css(line.color), width: line.width || 2,
      dash: line.dash, show: !line.hidden, spanGaps: !line.gaps, points: { show: false },
      paths: line.stepped ? uPlot.paths.stepped({ align: 1 }) : undefined }))],
  }, points, box);
}

function key(one, line, index) {
  const item = document.createElement("li");
  const button = Object.assign(document.createElement("button"), { type: "button", title: "show or hide this line" });
  button.setAttribute("aria-pressed", "true");
  button.innerHTML = '<svg viewBox="0 0 28 8" aria-hidden="true"><line x1="0" y1="4" x2="28" y2="4" stroke="var(' +
    line.color + ')" stroke-width="2.5" stroke-dasharray="' + line.dash.join(" ") + '"/></svg>';
  button.append(line.label);
  button.addEventListener("click", () => {
    line.hidden = !line.hidden;
    button.setAttribute("aria-pressed", String(!line.hidden));
    one.plot.setSeries(index + 1, { show: !line.hidden });
  });
  item.append(button);
  return item;
}

// charts: [{ title, unit, good, lines: [{ label, color, dash, width, stepped, gaps, points: [times, values] }],
// from, until, wide, height }]; axes: { until, x }. What lies beyond `until` is there after a double-click. A line that is `stepped`
// holds its value until the next point, one with `gaps` is broken where a value is null; with axes.clock x is seconds since 1970,
// from axes.from on, told in UTC.
function showCharts(place, charts, axes) {
  const drawn = charts.map(chart => {
    const one = { chart, plot: null, box: document.createElement("div") };
    const card = document.createElement("section");
    card.className = chart.wide ? "card wide" : "card";
    const title = Object.assign(document.createElement("h2"), { textContent: chart.title + " (" + chart.unit + ")" });
    const good = Object.assign(document.createElement("p"), { className: "good", textContent: chart.good });
    const keys = Object.assign(document.createElement("ul"), { className: "keys" });
    keys.append(...chart.lines.map((line, index) => key(one, line, index)));
    card.append(title, good, one.box, keys);
    place.append(card);
    return one;
  });
  const redraw = () => drawn.forEach(one => { one.plot?.destroy(); one.plot = draw(one.box, one.chart, axes); });
  redraw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  addEventListener("resize", () =>
    drawn.forEach(one => one.plot?.setSize({ width: one.box.clientWidth, height: one.chart.height || 250 })));
}
