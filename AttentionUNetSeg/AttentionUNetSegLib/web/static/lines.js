// Where the other views lie in each slice, and a picture of all views: both are made here, from what is on show.
(function () {
  "use strict";

  const SVG = "http://www.w3.org/2000/svg";
  const COLORS = { Red: "#f34a33", Green: "#6db04b", Yellow: "#edd54c" };
  const panes = () => window.attentionUNetSegPanes?.panes || {};

  const column = (m, n) => [m[n], m[4 + n], m[8 + n]];
  const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
  const minus = (a, b) => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];

  // The line in which the plane of another picture cuts this one, from edge to edge; null where it does not.
  function cut(here, other) {
    const m = here.matrix;
    const normal = column(other.matrix, 2);
    const a = dot(normal, column(m, 0));
    const b = dot(normal, column(m, 1));
    const c = dot(normal, minus(column(m, 3), column(other.matrix, 3)));
    const { width, height } = here;
    const ends = [];
    const add = (x, y) => {
      if (x >= -0.5 && x <= width - 0.5 && y >= -0.5 && y <= height - 0.5) {
        ends.push([x + 0.5, height - y - 0.5]);
      }
    };
    if (Math.abs(b) > 1e-9) {
      add(-0.5, (-c + 0.5 * a) / b);
      add(width - 0.5, (-c - a * (width - 0.5)) / b);
    }
    if (Math.abs(a) > 1e-9) {
      add((-c + 0.5 * b) / a, -0.5);
      add((-c - b * (height - 0.5)) / a, height - 0.5);
    }
    return ends.length >= 2 ? [ends[0], ends[1]] : null;
  }

  function draw() {
    const isShown = window.trame?.state?.get("show_lines") && window.trame.state.get("volume_name");
    for (const pane of Object.values(panes())) {
      pane.lines.replaceChildren();
      if (!isShown || !pane.shown?.matrix) {
        continue;
      }
      for (const other of Object.values(panes())) {
        const ends = other !== pane && other.shown?.matrix ? cut(pane.shown, other.shown) : null;
        if (ends) {
          const line = document.createElementNS(SVG, "line");
          line.setAttribute("x1", ends[0][0]);
          line.setAttribute("y1", ends[0][1]);
          line.setAttribute("x2", ends[1][0]);
          line.setAttribute("y2", ends[1][1]);
          line.setAttribute("stroke", COLORS[other.name]);
          line.setAttribute("stroke-opacity", "0.75");
          line.dataset.of = other.name;
          pane.lines.append(line);
        }
      }
    }
  }

  document.addEventListener("picture", draw);

  // All views as they stand, with their names and letters, as a PNG.
  function screenshot() {
    const stage = document.querySelector(".views").getBoundingClientRect();
    const ratio = window.devicePixelRatio || 1;
    const canvas = document.createElement("canvas");
    canvas.width = Math.round(stage.width * ratio);
    canvas.height = Math.round(stage.height * ratio);
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    pen.fillStyle = "#000";
    pen.fillRect(0, 0, stage.width, stage.height);
    const maximized = window.trame.state.get("maximized");
    for (const pane of Object.values(panes())) {
      if (!pane.shown || (maximized && maximized !== pane.name)) {
        continue;
      }
      const box = pane.root.getBoundingClientRect();
      const { width, height } = pane.shown;
      const scale = Math.min(box.width / width, box.height / height);
      const left = box.left - stage.left + (box.width - width * scale) / 2;
      const top = box.top - stage.top + (box.height - height * scale) / 2;
      pen.drawImage(pane.canvas, left, top, width * scale, height * scale);
      for (const line of pane.lines.children) {
        pen.strokeStyle = line.getAttribute("stroke");
        pen.beginPath();
        pen.moveTo(left + line.getAttribute("x1") * scale, top + line.getAttribute("y1") * scale);
        pen.lineTo(left + line.getAttribute("x2") * scale, top + line.getAttribute("y2") * scale);
        pen.stroke();
      }
    }
    pen.fillStyle = "#e8ecf0";
    pen.font = "12px sans-serif";
    for (const text of document.querySelectorAll(".letter, .pane-title, .pane-position")) {
      const box = text.getBoundingClientRect();
      const owner = text.closest(".pane");
      if (box.width > 0 && (!maximized || owner.classList.contains("maximized"))) {
        pen.fillText(text.textContent, box.left - stage.left, box.bottom - stage.top - 3);
      }
    }
    const link = document.createElement("a");
    const name = (window.trame.state.get("volume_name") || "views").replace(/[^\w.-]+/g, "_");
    link.download = `${name}_views.png`;
    link.href = canvas.toDataURL("image/png");
    link.click();
  }

  // The state that says whether lines are shown comes a moment after the click.
  const drawSoon = () => window.setTimeout(draw, 50);

  window.attentionUNetSegLines = { drawSoon, screenshot };
})();
