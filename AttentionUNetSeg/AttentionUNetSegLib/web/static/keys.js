// Keys, the menu of the right mouse button, and what the page says of the place under the mouse.
(function () {
  "use strict";

  // The page's scripts come in no certain order.
  const panes = () => window.attentionUNetSegPanes.panes;
  const call = (...values) => window.attentionUNetSegPanes.call(...values);
  const TOOLS = {
    b: "browse", a: "add", r: "remove", p: "paint", e: "erase", d: "distance", m: "area",
    s: "segment", f: "reset", l: "lines", w: "window", t: "teach",
    1: "shape-click", 2: "shape-lasso", 3: "shape-box",
  };
  const CLICK_PIXELS = 4;
  let under = null; // { pane, values } of the place under the mouse
  let pressed = null;
  let rightPress = null; // { click, isAnswered, place } of the right button, until the menu opens
  let isHolding = false;

  const state = (name) => window.trame.state.get(name);
  const set = (name, value) => window.trame.state.set(name, value);
  const press = (tool) => document.querySelector(`[data-tool="${tool}"]:not([disabled])`)?.click();

  // The view that keys are for: the one under the mouse, or the one with the focus, or the axial one.
  function activePane() {
    const focused = document.activeElement?.dataset?.stream;
    return pointedPane() || panes()[focused] || panes().Red;
  }

  // What the page itself knows: what the server says of the place comes later.
  function pointedPane() {
    return Object.values(panes()).find((pane) => pane.pointer);
  }

  function step(slices) {
    call("step", activePane().name, slices);
  }

  function closeMenu() {
    if (state("menu") !== null) {
      set("menu", null);
    }
  }

  function moveThreshold(step) {
    if (state("has_result")) {
      const [lowest, highest] = state("thresholds");
      set("threshold", Math.round(100 * Math.min(highest, Math.max(lowest, state("threshold") + step))) / 100);
    }
  }

  function nextOverlay() {
    if (state("has_result")) {
      const values = state("overlays").map((each) => each.value);
      set("overlay", values[(values.indexOf(state("overlay")) + 1) % values.length]);
    }
  }

  const OTHERS = {
    "+": () => moveThreshold(0.05),
    "=": () => moveThreshold(0.05),
    "-": () => moveThreshold(-0.05),
    o: nextOverlay,
  };

  const SLICE_KEYS = {
    ArrowUp: () => step(1),
    ArrowRight: () => step(1),
    ArrowDown: () => step(-1),
    ArrowLeft: () => step(-1),
    PageUp: () => step(10),
    PageDown: () => step(-10),
    Home: () => call("end", activePane().name, false),
    End: () => call("end", activePane().name, true),
  };

  // The menu opens when the button is up again and the server has said what lies there.
  function openMenu() {
    if (rightPress?.isAnswered && rightPress.place) {
      set("menu", { ...rightPress.place, click: rightPress.click });
      rightPress = null;
      window.setTimeout(() => document.querySelector("#slice-menu button")?.focus(), 60);
    }
  }

  document.addEventListener("undermouse", ({ detail }) => {
    if (rightPress && detail.message?.type === "RightButtonPress") {
      Object.assign(rightPress, { click: detail.values?.click || null, isAnswered: true });
      openMenu();
    }
    if (detail.message && detail.message.type !== "MouseMove") {
      return;
    }
    // Whoever goes from a list to a view means the view with the next key.
    if (detail.message && document.activeElement?.closest(".v-select")) {
      document.activeElement.blur();
    }
    under = detail.values || !detail.message ? detail : { pane: detail.pane, values: null };
    if (!detail.message) {
      under = null;
    }
    const line = document.getElementById("under-mouse");
    if (line) {
      line.textContent = detail.values ? detail.values.text : "";
    }
    detail.pane.root.classList.toggle("over-click", Boolean(detail.values && detail.values.click));
  });

  document.addEventListener("pointerdown", (event) => {
    if (!event.target.closest("#slice-menu")) {
      closeMenu();
    }
    pressed = { x: event.clientX, y: event.clientY };
    rightPress = event.button === 2 ? { click: null, isAnswered: false, place: null } : null;
  });

  document.addEventListener("pointerup", (event) => {
    const root = event.target.closest("[data-stream]");
    const isClick =
      pressed && Math.max(Math.abs(event.clientX - pressed.x), Math.abs(event.clientY - pressed.y)) <= CLICK_PIXELS;
    if (event.button === 2 && rightPress && isClick && root && root.dataset.stream !== "ThreeD") {
      rightPress.place = {
        x: Math.min(event.clientX, window.innerWidth - 220),
        y: Math.min(event.clientY, window.innerHeight - 140),
      };
      openMenu();
    } else {
      rightPress = null;
    }
  });

  document.addEventListener("click", (event) => {
    if (event.target.closest("#slice-menu button")) {
      closeMenu();
    }
  });

  window.addEventListener("contextmenu", (event) => {
    if (event.target.closest(".pane-content")) {
      event.preventDefault();
    }
  });

  window.addEventListener("keydown", (event) => {
    if (!(event.target instanceof Element) || !window.trame) {
      return;
    }
    const isTyping = event.target.closest("input, textarea, select, [contenteditable]");
    const isOpen = document.querySelector(".v-overlay--active.v-dialog");
    const key = event.key;
    if ((event.ctrlKey || event.metaKey) && !isTyping) {
      const name = { z: event.shiftKey ? "redo" : "undo", y: "redo" }[key.toLowerCase()];
      if (name) {
        event.preventDefault();
        // Not by its button: that may be grey because the correction that is meant is still on its way.
        window.trame.trigger(name);
      } else if (key.toLowerCase() === "s") {
        event.preventDefault();
        document.querySelector("a[href='download/segment']:not(.v-btn--disabled)")?.click();
      }
      return;
    }
    if (key === "Escape" && state("menu") !== null) {
      closeMenu();
      return;
    }
    if (isTyping || isOpen || event.ctrlKey || event.metaKey || event.altKey) {
      return;
    }
    if (state("menu") !== null && (key === "ArrowDown" || key === "ArrowUp")) {
      const items = [...document.querySelectorAll("#slice-menu button")];
      const next = items.indexOf(document.activeElement) + (key === "ArrowDown" ? 1 : -1);
      items[(next + items.length) % items.length]?.focus();
      event.preventDefault();
      return;
    }
    const radio = event.target.closest("[role=radio]");
    if (radio && key.startsWith("Arrow")) {
      const radios = [...radio.parentElement.querySelectorAll("[role=radio]:not([disabled])")];
      const move = key === "ArrowRight" || key === "ArrowDown" ? 1 : -1;
      const next = radios[(radios.indexOf(radio) + move + radios.length) % radios.length];
      event.preventDefault();
      next.click();
      next.focus();
      return;
    }
    // Sliders, menus and radio buttons have a use of their own for these keys.
    const others = key.startsWith("Arrow") ? ", [role=radio]" : "";
    const pointed = pointedPane();
    const isElsewhere = event.target.closest("[role=slider], [role=listbox], [role=combobox], .v-overlay" + others);
    if (SLICE_KEYS[key] && !isElsewhere && state("volume_name")) {
      event.preventDefault();
      SLICE_KEYS[key]();
    } else if ((key === "Delete" || key === "Backspace") && state("has_result") && pointed) {
      event.preventDefault();
      pointed.send("RemoveClick", pointed.pointer); // the server knows what lies there now
    } else if (key === "Escape" && state("tool") !== "browse") {
      press("browse");
    } else if (key === "?") {
      set("show_help", true);
    } else if (key === "c") {
      if (!event.repeat) {
        isHolding = true;
        window.trame.trigger("hold_comparison", [true]);
      }
    } else if (OTHERS[key]) {
      OTHERS[key]();
    } else if (TOOLS[key]) {
      press(TOOLS[key]);
    }
  });

  function letGo() {
    if (isHolding) {
      isHolding = false;
      window.trame.trigger("hold_comparison", [false]);
    }
  }

  window.addEventListener("keyup", (event) => event.key.toLowerCase() === "c" && letGo());
  window.addEventListener("blur", letGo);

  window.attentionUNetSegKeys = {
    help: () => set("show_help", true),
    screenshot: () => window.attentionUNetSegLines.screenshot(),
  };

  // Whoever is asked may stay. Then trame, which hangs up at this event, must not have heard of it.
  window.addEventListener(
    "beforeunload",
    (event) => {
      if (window.trame && state("unsaved")) {
        event.preventDefault();
        event.returnValue = "";
        event.stopImmediatePropagation();
      }
    },
    true
  );
})();
