// The views: pictures that the server sends, drawn into canvases; what the mouse does over them goes back.
(function () {
  "use strict";

  const SVG = "http://www.w3.org/2000/svg";
  const BUTTONS = { Left: 1, Right: 2, Middle: 4 }; // as in the `buttons` of an event
  const PIXELS_OF_A_NOTCH = 40;
  // Names this tab to the server, which asks for no more than that tabs differ.
  const CLIENT = Math.random().toString(36).slice(2) + Date.now().toString(36);
  const panes = {};
  let session = null;

  // What was chosen in the page goes out before what is done with it: trame keeps it back while an answer is due.
  function sendState() {
    const keys = [...(window.trame?.state?.dirtyKeys || [])];
    if (session && keys.length > 0) {
      window.trame.state.dirtyKeys.clear();
      const changes = keys.map((key) => ({ key, value: window.trame.state.get(key) }));
      session.call("trame.state.update", [changes]).catch(() => null);
    }
  }

  function call(method, ...values) {
    sendState();
    return session ? session.call("attentionunetseg." + method, values).catch(() => null) : Promise.resolve(null);
  }

  function layer(classes) {
    const element = document.createElementNS(SVG, "svg");
    element.setAttribute("class", classes);
    element.setAttribute("aria-hidden", "true");
    return element;
  }

  class Pane {
    constructor(root) {
      this.root = root;
      this.name = root.dataset.stream;
      this.shown = null;
      this.pointer = null;
      this.held = 0; // the buttons that the server was told of
      this.queue = [];
      this.isSending = false;
      this.wheel = 0;
      this.canvas = document.createElement("canvas");
      this.canvas.className = "picture";
      // Where the other views lie, and what is being drawn.
      this.lines = layer("lines");
      this.sketch = layer("lines sketch");
      root.replaceChildren(this.canvas, this.lines, this.sketch);
      this.listen();
      new ResizeObserver(() => this.tellSize()).observe(root);
    }

    tellSize() {
      const box = this.root.getBoundingClientRect();
      const ratio = window.devicePixelRatio || 1;
      if (box.width >= 1 && box.height >= 1) {
        call("size", CLIENT, this.name, Math.round(box.width * ratio), Math.round(box.height * ratio));
      }
    }

    async show(meta, content) {
      const picture = await createImageBitmap(new Blob([content], { type: meta.type }));
      call("shown", this.name, meta.number);
      if (this.shown && this.shown.number > meta.number && meta.number > 1) {
        return;
      }
      if (this.canvas.width !== meta.width || this.canvas.height !== meta.height) {
        this.canvas.width = meta.width;
        this.canvas.height = meta.height;
        for (const each of [this.lines, this.sketch]) {
          each.setAttribute("viewBox", `0 0 ${meta.width} ${meta.height}`);
        }
      }
      this.canvas.getContext("2d").drawImage(picture, 0, 0);
      picture.close();
      this.shown = meta;
      this.root.dataset.number = meta.number;
      document.dispatchEvent(new CustomEvent("picture", { detail: this }));
    }

    // Where an event lies in the picture on show, in fractions; the picture stands in the middle of the pane, whole.
    place(event) {
      const box = this.root.getBoundingClientRect();
      const { width, height } = this.shown;
      const scale = Math.min(box.width / width, box.height / height);
      return {
        picture: this.shown.number,
        left: (event.clientX - box.left - (box.width - width * scale) / 2) / (width * scale),
        top: (event.clientY - box.top - (box.height - height * scale) / 2) / (height * scale),
      };
    }

    listen() {
      const root = this.root;
      root.addEventListener("pointerdown", (event) => {
        root.setPointerCapture(event.pointerId);
        root.focus({ preventScroll: true });
        event.preventDefault();
        this.follow(event, true);
      });
      root.addEventListener("pointerup", (event) => this.follow(event));
      root.addEventListener("pointermove", (event) => {
        this.follow(event);
        this.send("MouseMove", event);
      });
      // The system takes the mouse away, or another window does: nobody will say when the buttons go up.
      for (const kind of ["pointercancel", "lostpointercapture"]) {
        root.addEventListener(kind, () => {
          if (this.held) {
            this.held = 0;
            this.send("Cancel", this.pointer);
          }
        });
      }
      root.addEventListener("pointerleave", () => {
        this.pointer = null;
        document.dispatchEvent(new CustomEvent("undermouse", { detail: { pane: this, values: null } }));
      });
      root.addEventListener(
        "wheel",
        (event) => {
          event.preventDefault();
          this.wheel += event.deltaY * (event.deltaMode === 1 ? 33 : 1);
          if (Math.abs(this.wheel) >= PIXELS_OF_A_NOTCH) {
            this.send("MouseWheel", event, this.wheel < 0 ? 1 : -1);
            this.wheel = 0;
          }
        },
        { passive: false }
      );
    }

    // Tells which buttons have gone down and up. While one is held, the browser tells of others by moves alone.
    follow(event, isPress = false) {
      for (const [name, bit] of Object.entries(BUTTONS)) {
        const isDown = Boolean(event.buttons & bit);
        const wasDown = Boolean(this.held & bit);
        if (this.shown && isDown !== wasDown && (wasDown || isPress || this.held)) {
          this.held ^= bit;
          this.send(name + (isDown ? "ButtonPress" : "ButtonRelease"), event);
        }
      }
    }

    send(type, event, ticks = 0) {
      if (!this.shown || !event) {
        return;
      }
      this.pointer = { clientX: event.clientX, clientY: event.clientY };
      const message = {
        type,
        ticks,
        buttons: event.buttons || 0,
        shift: event.shiftKey,
        ctrl: event.ctrlKey || event.metaKey,
        alt: event.altKey,
        ...this.place(event),
      };
      const last = this.queue[this.queue.length - 1];
      if (last && last.type === type && type === "MouseMove") {
        this.queue.pop();
        if (event.buttons) {
          // What is drawn goes through every place that the mouse was at.
          message.trail = [...(last.trail || []), { left: last.left, top: last.top }];
        }
      } else if (last && last.type === type && type === "MouseWheel") {
        message.ticks += this.queue.pop().ticks;
      }
      this.queue.push(message);
      this.sendQueue();
    }

    // One event is under way at a time; moves and notches that wait for it become one.
    async sendQueue() {
      if (this.isSending) {
        return;
      }
      this.isSending = true;
      while (this.queue.length > 0) {
        await this.deliver(this.queue.shift());
      }
      this.isSending = false;
    }

    // What waits goes out now, behind what is under way.
    sendAll() {
      for (const message of this.queue.splice(0)) {
        this.deliver(message);
      }
    }

    async deliver(message) {
      const values = await call("pointer", CLIENT, this.name, message);
      if (this.pointer || message.type !== "MouseMove") {
        document.dispatchEvent(new CustomEvent("undermouse", { detail: { pane: this, message, values } }));
      }
    }
  }

  // A key or a button must not overtake what the mouse did in a view before: Undo would take back the stroke before
  // the last one.
  for (const kind of ["pointerdown", "keydown", "click"]) {
    window.addEventListener(kind, () => Object.values(panes).forEach((pane) => pane.sendAll()), true);
  }

  function start() {
    const roots = document.querySelectorAll("[data-stream]");
    const connection = window.trame && window.trame.client && window.trame.client.getConnection();
    const ready = connection && connection.getSession && connection.getSession();
    if (roots.length === 0 || !ready) {
      window.setTimeout(start, 30);
      return;
    }
    session = ready;
    const trigger = window.trame.trigger;
    window.trame.trigger = (...words) => {
      sendState();
      Object.values(panes).forEach((pane) => pane.sendAll());
      return trigger(...words);
    };
    session.subscribe("attentionunetseg.picture", ([event]) => panes[event.name]?.show(event.meta, event.content));
    for (const root of roots) {
      panes[root.dataset.stream] = new Pane(root);
    }
  }

  window.attentionUNetSegPanes = { panes, call };
  start();
})();
