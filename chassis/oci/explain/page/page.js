/* What is around the map: the trail, details, search, measures, themes and tables. */

const UNITS = ["B", "kB", "MB", "GB", "TB"];
const KINDS = {
  base: "base", layer: "base", runtime: "server", wheel: "wheels", wheels: "small wheels that share a layer",
  code: "code", data: "data", model: "model",
};
const NAMES = {
  image: "Image", layer: "Layer", package: "Package", directory: "Directory", file: "File", rest: "Small files",
};

function sizeText(size) {
  let value = Math.abs(size);
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) { value /= 1000; unit += 1; }
  return `${size < 0 ? "-" : ""}${value.toFixed(unit && value < 99.95 ? 1 : 0)} ${UNITS[unit]}`;
}

function shareText(share) {
  const percent = share * 100;
  if (percent > 0 && percent < 0.05) return "<0.1 %";
  return `${percent.toFixed(percent >= 9.95 || !percent ? 0 : 1)} %`;
}

function element(name, content, attributes = {}) {
  const made = document.createElement(name);
  if (content !== undefined) made.textContent = content;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function trailOf(node) {
  const trail = [];
  for (let at = node; at; at = at.parent) trail.unshift(at);
  return trail;
}

/** The path of a directory or file; layers and packages say what directory their children's names are below. */
function pathOf(node) {
  if (node.kind !== "directory" && node.kind !== "file") return "";
  let path = "";
  for (const at of trailOf(node)) {
    if (at.below) path = `/${at.below}`;
    if (at.kind === "directory" || at.kind === "file") path = at.name.startsWith("/") ? at.name : `${path}/${at.name}`;
  }
  return path;
}

(() => {
  const byId = (id) => document.getElementById(id);
  const root = JSON.parse(byId("tree").textContent);
  const nodes = prepare(root);
  const about = (node) => (node.estimated ? "about " : "");

  function describe(node) {
    const parts = [`${NAMES[node.kind]} ${node.kind === "layer" ? `${node.number}, ` : ""}${node.name}`,
      `${about(node)}${sizeText(node.size)} to pull`, `${sizeText(node.plain)} unpacked`];
    parts.push(`${shareText(node.size / (root.size || 1))} of the image`);
    if (node.fetched) parts.push("to fetch");
    return parts.join(", ");
  }

  function details(node) {
    const panel = byId("details");
    const kind = node.layer && node.kind !== "layer" ? `${NAMES[node.kind]} in layer ${node.layer.number}` : NAMES[node.kind];
    const rows = [
      ["To pull", about(node) + sizeText(node.size)],
      ["Unpacked", sizeText(node.plain)],
      ["Of the image", shareText(node.size / (root.size || 1))],
    ];
    if (node.parent && node.parent !== root) {
      rows.push([`Of the ${NAMES[node.parent.kind].toLowerCase()}`, shareText(node.size / (node.parent.size || 1))]);
    }
    if (node.kind !== "file") rows.push(["Files", node.files.toLocaleString("en")]);
    if (node.kind === "image") rows.unshift(["Layers", String(node.children.length)]);
    if (node.kind === "layer") rows.unshift(["Layer", `${node.number} of ${root.children.length}`]);
    if (node.link) rows.push(["Link to", node.link]);
    const list = element("dl");
    for (const [name, value] of rows) list.append(element("dt", name), element("dd", value));
    const path = pathOf(node);
    panel.replaceChildren(element("h3", node.name), element("p", path ? `${kind}: ${path}` : kind, { class: "kind" }), list);
    const biggest = [...node.children].sort((a, b) => b[map.measure] - a[map.measure]).slice(0, 8);
    if (biggest.length > 1) {
      const inside = element("ol", undefined, { "aria-label": "The biggest inside" });
      for (const child of biggest) {
        const item = element("li");
        item.style.setProperty("--share", child[map.measure] / (node[map.measure] || 1));
        item.append(element("span", child.name), element("span", sizeText(child[map.measure])));
        inside.append(item);
      }
      panel.append(inside);
    }
    if (node.kind === "layer") {
      panel.append(element("p", node.why, { class: "why" }), element("p", node.digest, { class: "kind" }));
    }
  }

  function tip(node, event) {
    const box = byId("tip");
    box.hidden = !event || event.pointerType === "touch";
    if (box.hidden) return;
    box.replaceChildren(element("b", node.name), `${about(node)}${sizeText(node.size)} to pull, ${sizeText(node.plain)} unpacked`);
    const left = Math.min(event.clientX + 14, window.innerWidth - box.offsetWidth - 8);
    const below = event.clientY + 18;
    box.style.left = `${Math.max(8, left)}px`;
    box.style.top = `${below + box.offsetHeight > window.innerHeight ? event.clientY - box.offsetHeight - 10 : below}px`;
  }

  function trail(node) {
    const steps = [];
    for (const at of trailOf(node)) {
      if (steps.length) steps.push(element("span", "›", { class: "step", "aria-hidden": "true" }));
      if (at === node) {
        steps.push(element("span", at.name, { "aria-current": "location" }));
      } else {
        const button = element("button", at.name, { type: "button", title: at.name });
        button.addEventListener("click", () => map.zoom(at));
        steps.push(button);
      }
    }
    byId("trail").replaceChildren(...steps);
    details(node);
  }

  const map = new Treemap(byId("map"), root, {
    describe,
    onFocus: (node, event) => { details(node); tip(node, event); },
    onZoom: (node) => { trail(node); tip(node, null); },
  });

  function search(text) {
    const wanted = text.trim().toLowerCase();
    map.wanted = null;
    byId("found").textContent = "";
    if (wanted) {
      const found = new Set();
      found.leads = new Set();
      let size = 0;
      let count = 0;
      for (const node of nodes) {
        const inside = node.parent && found.has(node.parent);
        const hit = node.kind !== "image" && node.kind !== "rest" && node.name.toLowerCase().includes(wanted);
        if (!hit && !inside) continue;
        found.add(node);
        if (hit && !inside) {
          size += node.size;
          count += 1;
          for (let at = node.parent; at; at = at.parent) found.leads.add(at);
        }
      }
      map.wanted = found;
      byId("found").textContent = count ? `${count.toLocaleString("en")} found, ${sizeText(size)}` : "none found";
    }
    map.draw();
  }

  function legend() {
    const seen = new Map();
    for (const layer of root.children) {
      if (!seen.has(KINDS[layer.origin])) seen.set(KINDS[layer.origin], layer.origin);
    }
    const items = [...seen].map(([name, kind]) => {
      const item = element("li");
      item.append(element("span", "", { class: `swatch ${kind}` }), name);
      return item;
    });
    if (root.children.some((layer) => layer.fetched)) {
      const item = element("li");
      item.append(element("span", "", { class: "swatch ring" }), "to fetch");
      items.push(item);
    }
    byId("legend").replaceChildren(...items);
  }

  function sortable(table) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = element("button", head.textContent, { type: "button" });
      head.replaceChildren(button);
      head.setAttribute("aria-sort", "none");
      const first = table.tBodies[0].rows[0];
      head.classList.toggle("n", Boolean(first) && first.cells[column].classList.contains("n"));
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "none" ? head.classList.contains("n") && column > 0
          : head.getAttribute("aria-sort") === "ascending";
        for (const other of heads) other.setAttribute("aria-sort", "none");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const value = (row) => row.cells[column].dataset.value;
        const rows = [...table.tBodies[0].rows].sort((a, b) => {
          const order = value(a) === undefined
            ? a.cells[column].textContent.localeCompare(b.cells[column].textContent) : value(a) - value(b);
          return down ? -order : order;
        });
        table.tBodies[0].append(...rows);
      });
    });
  }

  function themes(button) {
    const names = ["system", "light", "dark"];
    button.hidden = false;
    button.addEventListener("click", () => {
      const next = names[(names.indexOf(document.documentElement.dataset.theme || "system") + 1) % names.length];
      if (next === "system") delete document.documentElement.dataset.theme;
      else document.documentElement.dataset.theme = next;
      button.textContent = `Theme: ${next}`;
    });
  }

  byId("explorer").hidden = false;
  themes(byId("theme"));
  legend();
  document.querySelectorAll("table").forEach(sortable);
  byId("search").addEventListener("input", (event) => search(event.target.value));
  for (const radio of document.querySelectorAll("[name=measure]")) {
    radio.addEventListener("change", () => { map.measure = radio.value; map.draw(); details(map.zoomed); });
  }
  document.addEventListener("click", (event) => {
    const row = event.target.closest("tr[data-layer]");
    if (!row || event.target.closest("summary, a, button") || String(getSelection())) return;
    map.zoom(root.children[Number(row.dataset.layer) - 1]);
    byId("explorer").scrollIntoView({ block: "start" });
  });
  let width = byId("map").clientWidth;
  new ResizeObserver(() => {
    if (byId("map").clientWidth !== width) { width = byId("map").clientWidth; map.draw(); }
  }).observe(byId("map"));
  trail(root);
  map.draw();
  document.documentElement.dataset.ready = "yes";
})();
