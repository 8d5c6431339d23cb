/* The map: cells in cells, moved through by pointer or by keys. */

const SVG = "http://www.w3.org/2000/svg";
const HEAD = 19;
const PAD = 3;
const LEAST = 3;
const MARGIN = 5;

/** Gives each node its parent, its layer, its depth, and both sizes, estimated if only the whole is known. */
function prepare(root) {
  const nodes = [];
  const visit = (node, parent, layer, depth) => {
    node.parent = parent;
    node.layer = node.kind === "layer" ? node : layer;
    node.depth = depth;
    node.children = node.children || [];
    node.estimated = node.size === null;
    if (node.estimated) node.size = parent.plainBelow ? (parent.sizeLeft * node.plain) / parent.plainBelow : 0;
    nodes.push(node);
    const unknown = node.children.filter((child) => child.size === null);
    node.plainBelow = unknown.reduce((sum, child) => sum + child.plain, 0);
    const told = node.children.reduce((sum, child) => sum + (child.size || 0), 0);
    node.sizeLeft = Math.max(0, node.size - told);
    for (const child of node.children) visit(child, node, node.layer, depth + 1);
  };
  visit(root, null, null, 0);
  return nodes;
}

class Treemap {
  /** `svg` is drawn into; `onFocus(node)` and `onZoom(node)` are told what is looked at and what fills the map. */
  constructor(svg, root, { onFocus, onZoom, describe }) {
    Object.assign(this, { svg, root, onFocus, onZoom, describe });
    this.zoomed = root;
    this.measure = "size";
    this.wanted = null;
    this.cells = new Map();
    this.pen = document.createElement("canvas").getContext("2d");
    this.family = getComputedStyle(svg).fontFamily;
    svg.addEventListener("keydown", (event) => this.key(event));
    svg.addEventListener("click", (event) => this.click(event));
    svg.addEventListener("pointermove", (event) => this.hover(event));
    svg.addEventListener("pointerleave", () => this.onFocus(this.active || this.zoomed, null));
    svg.addEventListener("focusin", (event) => {
      const node = this.nodeAt(event.target);
      if (node) { this.active = node; this.onFocus(node, null); }
    });
  }

  /** Draws anew; what has the focus keeps it. */
  draw() {
    const held = this.nodeAt(document.activeElement);
    const width = this.svg.clientWidth;
    const height = Math.round(Math.max(380, Math.min(width * 0.62, window.innerHeight * 0.68)));
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.svg.style.height = `${height}px`;
    this.svg.classList.toggle("searching", this.wanted !== null);
    this.cells.clear();
    const drawn = document.createDocumentFragment();
    this.fill(drawn, this.zoomed, { x: 1, y: 1, w: width - 2, h: height - 2 }, 0);
    this.svg.replaceChildren(drawn);
    const first = this.cells.has(this.active) ? this.active : [...this.cells.keys()][0];
    if (first) this.cells.get(first).setAttribute("tabindex", "0");
    if (this.cells.has(held)) this.focus(held);
  }

  fill(parent, node, space, depth) {
    for (const child of node.children) child.weight = child[this.measure];
    for (const [child, area] of squarify(node.children, space)) {
      if (area.w >= LEAST && area.h >= LEAST) parent.append(this.cell(child, area, depth));
    }
  }

  cell(node, area, depth) {
    const group = document.createElementNS(SVG, "g");
    const kind = node.kind === "directory" && !node.children.length ? "rest" : node.kind;
    group.setAttribute("class", `cell ${kind} ${node.layer.origin}`);
    group.classList.toggle("fetched", node.kind === "layer" && node.fetched);
    group.style.setProperty("--depth", Math.min(depth, 5));
    group.style.setProperty("--turn", node.layer.number % 3 - 1);
    group.setAttribute("role", "treeitem");
    group.setAttribute("aria-level", depth + 1);
    group.setAttribute("aria-label", this.describe(node));
    group.setAttribute("tabindex", "-1");
    const rect = document.createElementNS(SVG, "rect");
    for (const [name, value] of Object.entries({ x: area.x, y: area.y, width: area.w, height: area.h, rx: 2 })) {
      rect.setAttribute(name, typeof value === "number" ? value.toFixed(2) : value);
    }
    group.append(rect);
    this.cells.set(node, group);
    this.mark(node, group);
    const inside = node.children.length > 0 && area.w > 26 && area.h > HEAD + 14;
    this.label(group, node, area, inside);
    if (inside) {
      this.fill(group, node, {
        x: area.x + PAD, y: area.y + HEAD, w: area.w - 2 * PAD, h: area.h - HEAD - PAD,
      }, depth + 1);
    }
    return group;
  }

  mark(node, group) {
    if (!this.wanted) return;
    group.classList.toggle("match", this.wanted.has(node));
    group.classList.toggle("leads", this.wanted.leads.has(node));
  }

  label(group, node, area, inside) {
    const room = area.w - 2 * MARGIN;
    if (area.h < 15 || room < 20) return;
    const amount = sizeText(node[this.measure]);
    const wide = this.width(amount, false);
    const name = this.shorten(node.name, room, inside);
    this.text(group, area.x + MARGIN, area.y + 14, name, inside ? "head" : "");
    if (inside && name === node.name && this.width(name, true) + wide + 10 <= room) {
      this.text(group, area.x + area.w - MARGIN, area.y + 14, amount, "amount").setAttribute("text-anchor", "end");
    } else if (!inside && area.h >= 32 && wide <= room) {
      this.text(group, area.x + MARGIN, area.y + 29, amount, "amount");
    }
  }

  /** How many pixels a text takes in the map's font. */
  width(text, bold) {
    this.pen.font = `${bold ? 600 : 400} 12px ${this.family}`;
    return this.pen.measureText(text).width;
  }

  /** As much of a text as fits in `room` pixels. */
  shorten(text, room, bold) {
    if (this.width(text, bold) <= room) return text;
    let fits = 1;
    let most = text.length - 1;
    while (fits < most) {
      const middle = Math.ceil((fits + most) / 2);
      if (this.width(`${text.slice(0, middle)}…`, bold) <= room) fits = middle; else most = middle - 1;
    }
    return `${text.slice(0, fits)}…`;
  }

  text(group, x, y, content, kind) {
    const text = document.createElementNS(SVG, "text");
    text.setAttribute("x", x.toFixed(1));
    text.setAttribute("y", y.toFixed(1));
    text.setAttribute("class", kind);
    text.textContent = content;
    group.append(text);
    return text;
  }

  nodeAt(element) {
    const group = element && element.closest && element.closest("g.cell");
    if (!group) return null;
    for (const [node, cell] of this.cells) if (cell === group) return node;
    return null;
  }

  hover(event) {
    const node = this.nodeAt(event.target);
    if (node) this.onFocus(node, event);
  }

  click(event) {
    const node = this.nodeAt(event.target);
    if (!node) return;
    this.zoom(node.children.length ? node : node.parent);
  }

  /** Fills the map with `node`; the focus goes to `then`, or to the first cell. */
  zoom(node, then) {
    const focused = this.svg.contains(document.activeElement);
    this.zoomed = node;
    this.active = then || null;
    this.draw();
    this.onZoom(node);
    if (focused) this.focus(this.cells.has(then) ? then : [...this.cells.keys()][0]);
  }

  focus(node) {
    const cell = this.cells.get(node);
    if (!cell) return;
    for (const other of this.svg.querySelectorAll("[tabindex='0']")) other.setAttribute("tabindex", "-1");
    cell.setAttribute("tabindex", "0");
    cell.focus();
  }

  key(event) {
    const node = this.nodeAt(event.target);
    if (!node) return;
    const beside = node.parent.children.filter((child) => this.cells.has(child))
      .sort((a, b) => b[this.measure] - a[this.measure]);
    const place = beside.indexOf(node);
    const inner = node.children.filter((child) => this.cells.has(child))
      .sort((a, b) => b[this.measure] - a[this.measure]);
    const target = {
      ArrowDown: beside[place + 1], ArrowUp: beside[place - 1], Home: beside[0], End: beside[beside.length - 1],
      ArrowRight: inner[0], ArrowLeft: node.parent,
    };
    if (event.key in target) {
      event.preventDefault();
      if (target[event.key]) this.focus(target[event.key]);
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      if (node.children.length) this.zoom(node);
    } else if (event.key === "Escape" && this.zoomed.parent) {
      event.preventDefault();
      this.zoom(this.zoomed.parent, this.zoomed);
    }
  }
}
