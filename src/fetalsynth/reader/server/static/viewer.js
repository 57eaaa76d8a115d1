// Grey images on canvases: window, zoom, slices. Every image starts the same, is enlarged in the
// same way, and is never scaled by the browser itself.
const FULL = { level: 127.5, width: 255 };
const ZOOM = { least: 1, most: 16 };
const DRAG_PER_SLICE = 8;
const limit = (value, least, most) => Math.min(most, Math.max(least, value));

function table({ level, width }) {
  const grey = new Uint8ClampedArray(256);
  for (let v = 0; v < 256; v++) grey[v] = ((v - (level - width / 2)) / width) * 255;
  return grey;
}

class Pane {
  constructor(figure, views) {
    this.figure = figure;
    this.views = views;
    this.canvas = figure.querySelector("canvas");
    this.caption = figure.querySelector(".slice");
    this.part = figure.dataset.part;
    this.plane = this.part.split("-").pop();
    this.width = Number(figure.dataset.width);
    this.height = Number(figure.dataset.height);
    this.slices = Number(figure.dataset.slices || 1);
    this.columns = Math.ceil(Math.sqrt(this.slices));
    this.grey = null;
    this.small = document.createElement("canvas");
    this.pointers = new Map();
    new ResizeObserver(() => views.draw()).observe(figure);
    this.listen();
  }

  async load(blob) {
    const bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none" });
    const canvas = document.createElement("canvas");
    canvas.width = bitmap.width;
    canvas.height = bitmap.height;
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(bitmap, 0, 0);
    const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
    this.tiled = bitmap.width;
    this.grey = new Uint8Array(data.length / 4);
    for (let k = 0; k < this.grey.length; k++) this.grey[k] = data[4 * k];
    if (this.slices > 1) {
      this.width = bitmap.width / this.columns;
      this.height = bitmap.height / Math.ceil(this.slices / this.columns);
    }
    this.small.width = this.width;
    this.small.height = this.height;
    bitmap.close();
  }

  clear() {
    this.grey = null;
    this.canvas.getContext("2d").clearRect(0, 0, this.canvas.width, this.canvas.height);
  }

  get slice() { return this.views.slices.get(this.plane) ?? Math.floor(this.slices / 2); }

  get place() { return this.views.placeOf(this); }

  paintSlice(grey) {
    const context = this.small.getContext("2d");
    const image = context.createImageData(this.width, this.height);
    const left = (this.slice % this.columns) * this.width;
    const top = Math.floor(this.slice / this.columns) * this.height;
    for (let y = 0, to = 0; y < this.height; y++) {
      let from = (top + y) * this.tiled + left;
      for (let x = 0; x < this.width; x++, from++, to += 4) {
        const v = grey[this.grey[from]];
        image.data[to] = image.data[to + 1] = image.data[to + 2] = v;
        image.data[to + 3] = 255;
      }
    }
    context.putImageData(image, 0, 0);
  }

  draw() {
    const ratio = window.devicePixelRatio || 1;
    const box = this.figure.getBoundingClientRect();
    const width = Math.max(1, Math.round(box.width * ratio));
    const height = Math.max(1, Math.round(box.height * ratio));
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
    const context = this.canvas.getContext("2d");
    context.clearRect(0, 0, width, height);
    if (!this.grey) return;
    this.paintSlice(table(this.views.window));
    this.fit = Math.min(width / this.width, height / this.height);
    const scale = this.fit * this.place.zoom;
    const x = width / 2 + (this.place.x * this.fit) - (this.width * scale) / 2;
    const y = height / 2 + (this.place.y * this.fit) - (this.height * scale) / 2;
    context.imageSmoothingEnabled = this.views.smooth;
    context.imageSmoothingQuality = "low";
    context.drawImage(this.small, x, y, this.width * scale, this.height * scale);
    if (this.caption && this.slices > 1) this.caption.textContent = ` ${this.slice + 1}/${this.slices}`;
  }

  zoomBy(factor, at) {
    const place = this.place;
    const zoom = limit(place.zoom * factor, ZOOM.least, ZOOM.most);
    const ratio = window.devicePixelRatio || 1;
    const box = this.figure.getBoundingClientRect();
    const x = at ? ((at.x - box.left - box.width / 2) * ratio) / this.fit : 0;
    const y = at ? ((at.y - box.top - box.height / 2) * ratio) / this.fit : 0;
    place.x = x + (place.x - x) * (zoom / place.zoom);
    place.y = y + (place.y - y) * (zoom / place.zoom);
    place.zoom = zoom;
    this.keepInside();
  }

  moveBy(dx, dy) {
    const ratio = window.devicePixelRatio || 1;
    this.place.x += (dx * ratio) / this.fit;
    this.place.y += (dy * ratio) / this.fit;
    this.keepInside();
  }

  keepInside() {
    const place = this.place;
    place.x = limit(place.x, (-this.width * place.zoom) / 2, (this.width * place.zoom) / 2);
    place.y = limit(place.y, (-this.height * place.zoom) / 2, (this.height * place.zoom) / 2);
    if (place.zoom === 1) place.x = place.y = 0;
  }

  listen() {
    const { canvas, pointers, views } = this;
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("dblclick", () => views.reset());
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
      views.activate(this);
    });
    for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) {
      canvas.addEventListener(name, (event) => pointers.delete(event.pointerId));
    }
    canvas.addEventListener("pointermove", (event) => this.drag(event));
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      views.activate(this);
      const turned = Math.sign(event.deltaY);
      if (this.slices > 1 && !event.ctrlKey) views.scroll(turned);
      else this.zoomBy(Math.pow(1.15, -turned), { x: event.clientX, y: event.clientY });
      views.draw();
    }, { passive: false });
  }

  drag(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before || !this.grey) return;
    const after = { x: event.clientX, y: event.clientY };
    const dx = after.x - before.x;
    const dy = after.y - before.y;
    if (this.pointers.size === 2) {
      const other = [...this.pointers].find(([id]) => id !== event.pointerId)[1];
      const apart = (p) => Math.hypot(p.x - other.x, p.y - other.y) || 1;
      this.zoomBy(apart(after) / apart(before), { x: (after.x + other.x) / 2, y: (after.y + other.y) / 2 });
      this.moveBy(dx / 2, dy / 2);
    } else if (this.views.tool === "slices" && event.buttons === 1 && !event.shiftKey) {
      if (Math.abs(dy) < DRAG_PER_SLICE) return;
      this.views.scroll(Math.trunc(dy / DRAG_PER_SLICE));
    } else if (this.views.tool === "move" || event.buttons !== 1 || event.shiftKey) {
      this.moveBy(dx, dy);
    } else {
      this.views.window.level = limit(this.views.window.level + dy * 0.6, 0, 255);
      this.views.window.width = limit(this.views.window.width * Math.exp(-dx / 250), 8, 1020);
    }
    this.pointers.set(event.pointerId, after);
    this.views.draw();
  }
}

// All pictures of one screen. The two of a pair share zoom and place, planes of a volume do not.
export class Views {
  constructor(figures, { smooth, shared }) {
    this.smooth = smooth;
    this.shared = shared;
    this.tool = "window";
    this.pending = false;
    this.home();
    this.panes = [...figures].map((figure) => new Pane(figure, this));
    this.activate(this.panes[0]);
  }

  home() {
    this.window = { ...FULL };
    this.places = new Map();
    this.slices = new Map();
  }

  reset() { this.home(); this.draw(); }

  placeOf(pane) {
    const key = this.shared ? pane.plane : pane.part;
    if (!this.places.has(key)) this.places.set(key, { zoom: 1, x: 0, y: 0 });
    return this.places.get(key);
  }

  activate(pane) {
    const changed = this.active !== pane;
    this.active = pane;
    for (const other of this.panes || [pane]) other.figure.classList.toggle("active", other === pane);
    if (changed) this.draw();
  }

  next(step) {
    const index = this.panes.indexOf(this.active) + step;
    this.activate(this.panes[(index + this.panes.length) % this.panes.length]);
  }

  scroll(step) {
    const pane = this.active;
    this.slices.set(pane.plane, limit(pane.slice + step, 0, pane.slices - 1));
    this.draw();
  }

  zoom(factor) { this.active.zoomBy(factor, null); this.draw(); }

  adjust({ contrast = 1, brightness = 0 }) {
    this.window.width = limit(this.window.width / contrast, 8, 1020);
    this.window.level = limit(this.window.level - brightness, 0, 255);
    this.draw();
  }

  clear() { this.home(); for (const pane of this.panes) pane.clear(); }

  draw() {
    if (this.pending) return;
    this.pending = true;
    requestAnimationFrame(() => { this.pending = false; for (const pane of this.panes) pane.draw(); });
  }
}
