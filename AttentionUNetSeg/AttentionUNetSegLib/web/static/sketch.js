// A lasso or a box while it is drawn: shown at once, from the mouse alone; the server makes of it what it means.
(function () {
  "use strict";

  const SVG = "http://www.w3.org/2000/svg";
  const COLORS = { add: "#5ee36b", remove: "#ff5c4d" };
  const panes = () => window.attentionUNetSegPanes?.panes || {};
  const state = (name) => window.trame?.state?.get(name);
  let drawn = null; // { pane, shape, points, path }

  function place(pane, event) {
    const { left, top } = pane.place(event);
    return [left * pane.shown.width, top * pane.shown.height];
  }

  function show() {
    const { shape, points, path } = drawn;
    const last = points[points.length - 1];
    const corners = shape === "box" ? [points[0], [last[0], points[0][1]], last, [points[0][0], last[1]]] : points;
    path.setAttribute("d", "M" + corners.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join("L") + "Z");
  }

  function end() {
    drawn?.path.remove();
    drawn = null;
  }

  window.addEventListener(
    "pointerdown",
    (event) => {
      const root = event.target.closest?.("[data-stream]");
      const pane = root && panes()[root.dataset.stream];
      const color = COLORS[state("tool")];
      const shape = state("shape");
      end();
      if (!pane?.shown?.matrix || !color || shape === "click" || event.button !== 0) {
        return;
      }
      const path = document.createElementNS(SVG, "path");
      path.setAttribute("fill", color);
      path.setAttribute("fill-opacity", "0.12");
      path.setAttribute("stroke", color);
      path.setAttribute("vector-effect", "non-scaling-stroke");
      pane.sketch.append(path);
      drawn = { pane, shape, points: [place(pane, event)], path };
      show();
    },
    true
  );
  window.addEventListener("pointermove", (event) => {
    if (drawn && !(event.buttons & 1)) {
      end();
    } else if (drawn) {
      drawn.points.push(place(drawn.pane, event));
      show();
    }
  });
  for (const kind of ["pointerup", "pointercancel", "blur"]) {
    window.addEventListener(kind, end);
  }
})();
