{{uplot_js}}
{{plots_js}}
"use strict";
const data = {{data}};
const clocked = (from, until) =>
  ({ from, until, x: "UTC, from " + new Date(from * 1000).toISOString().slice(0, 10), clock: true });
const lines = (list, first) => list.map((line, i) =>
  ({ ...line, color: "--c" + (first + i) % 8, dash: PATTERNS[i % 4], stepped: true }));
const charts = [
  {
    title: "Hits over time", unit: "per minute", wide: true,
    good: "One line for each finding; what begins first is often the cause. Drag to look closer, double-click for all.",
    lines: lines(data.hits, 0),
  },
  ...data.load.map((line, i) => ({
    title: line.label[0].toUpperCase() + line.label.slice(1) + " over time", unit: "per minute",
    good: "Of all callers together.", from: line.points[0][0], until: line.points[0][line.points[0].length - 1],
    lines: lines([line], 2 + i),
  })),
].filter(chart => chart.lines.length);
showCharts(document.getElementById("charts"), charts, clocked(data.from, data.until));
for (const capture of data.captures) {
  showCharts(document.getElementById(capture.place), [
    { title: "Handshakes", unit: "per second", lines: lines(capture.handshakes, 0),
      good: "Opened by a SYN, answered by a SYN-ACK, established by an ACK. Lines that part show which step is missing." },
    { title: "Half-open flows", unit: "at once", lines: lines(capture.half_open, 1),
      good: "Flows whose handshake had begun and was not over. It should fall back after every burst." },
  ].filter(chart => chart.lines.length), clocked(capture.from, capture.until));
}

for (const command of document.querySelectorAll("pre.run")) {
  const button = Object.assign(document.createElement("button"), { type: "button", className: "copy", textContent: "copy" });
  const text = command.textContent;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "copied";
    } catch {
      getSelection().selectAllChildren(command);
      button.textContent = "selected";
    }
  });
  const frame = Object.assign(document.createElement("div"), { className: "framed" });
  command.replaceWith(frame);
  frame.append(command, button);
}
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach(part => { part.open = true; }));
