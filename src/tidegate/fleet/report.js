{{uplot_js}}
{{plots_js}}
"use strict";
const data = {{data}};
const from = data.from, until = from + Math.max(data.until, 1);
const iso = at => new Date(at * 1000).toISOString();
const since = ([times, values]) => [times.map(at => from + at), values];
const colour = place => "--c" + (place % 7 + 1);
const charts = [
  { title: "Hosts verified", unit: "hosts", good: "What good looks like: stairs of even steps, with a landing between two batches.",
    lines: [{ label: "verified", color: "--with", dash: DASH.solid, stepped: true, points: since(data.verified) }] },
  ...data.samples.map((one, place) => ({
    title: one.what ? one.name + ": " + one.what : one.name, unit: one.unit,
    good: "What good looks like: a small hill after each batch that is gone before the next one begins. A gap: no sample counted.",
    lines: [{ label: one.name, color: colour(place), dash: DASH.solid, gaps: true, points: since(one.points) },
      ...(one.stops_at === null ? [] : [{ label: "the guard stops at " + one.stops_at, color: "--without", dash: DASH.dashed,
        points: [[from, until], [one.stops_at, one.stops_at]] }])] })),
];
if (charts.length % 2) charts[charts.length - 1].wide = true;
showCharts(document.getElementById("charts"), charts, { from, until, clock: true, x: "UTC, from " + iso(from).slice(0, 10) });

const part = at => 100 * at / (until - from) + "%";
const make = (tag, given) => Object.assign(document.createElement(tag), given);
const said = at => iso(from + at).slice(11, 19);
const KINDS = { act: "step under way", settle: "done, being verified", down: "stopped", failed: "failed", skipped: "skipped",
  taken: "a controller took the run", stop: "a guard stopped the run" };

function lane(one) {
  const row = make("div", { className: "lane" });
  for (const [begins, ends, kind, why] of one.bars) {
    const when = ends > begins ? said(begins) + " to " + said(ends) : said(begins);
    const bar = make("i", { className: kind, title: when + " " + KINDS[kind] + (why ? ": " + why : "") });
    bar.style.left = part(begins);
    if (ends > begins) bar.style.width = part(ends - begins);
    row.append(bar);
  }
  return row;
}

// The times above the lanes: at most one for every 90 pixels, at round steps.
const STEPS = [1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 43200, 86400, 604800];
function ruler(width) {
  const row = make("div", { className: "ruler" });
  const least = (until - from) * 90 / Math.max(width, 90);
  const step = STEPS.find(one => one >= least) || Math.ceil(least / 604800) * 604800;
  for (let at = Math.ceil(from / step) * step; at <= until; at += step) {
    const text = step >= 86400 ? iso(at).slice(5, 10) : iso(at).slice(11, step >= 60 ? 16 : 19);
    if ((until - at) / (until - from) * width < 60) break; // its text would not fit
    const tick = make("span", { textContent: text });
    tick.style.left = part(at - from);
    row.append(tick);
  }
  return row;
}

const lanes = document.getElementById("lanes");
lanes.append(make("span", { textContent: "UTC" }), document.createElement("div"));
for (const one of data.hosts) lanes.append(make("span", { className: "host", textContent: one.host, title: one.host }), lane(one));
const drawRuler = () => lanes.children[1].replaceChildren(ruler(lanes.children[1].clientWidth));
drawRuler();
addEventListener("resize", drawRuler);
const cuts = make("div", { className: "cuts" });
for (const [at, kind, why] of data.cuts) {
  const cut = make("i", { className: kind, title: said(at) + " " + KINDS[kind] + ": " + why });
  cut.style.left = part(at);
  cuts.append(cut);
}
lanes.append(cuts);
const met = new Set([...data.hosts.flatMap(one => one.bars.map(bar => bar[2])), ...data.cuts.map(cut => cut[1])]);
for (const entry of document.querySelectorAll(".legend li")) entry.hidden = !met.has(entry.firstChild.className);
