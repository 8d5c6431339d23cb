"use strict";

/* Rectangles in a rectangle, each as near to a square as can be, their areas by weight.
   Bruls, Huizing and van Wijk, "Squarified Treemaps", 2000. */

/** Lays out `items`, each with a `weight`, in {x, y, w, h}; returns [item, rectangle] for those with a weight. */
function squarify(items, space) {
  const sorted = items.filter((item) => item.weight > 0).sort((a, b) => b.weight - a.weight);
  const total = sorted.reduce((sum, item) => sum + item.weight, 0);
  const placed = [];
  if (!total || space.w <= 0 || space.h <= 0) return placed;
  const scale = (space.w * space.h) / total;
  let { x, y, w, h } = space;
  let start = 0;
  while (start < sorted.length) {
    const side = Math.min(w, h);
    let end = start;
    let area = 0;
    let worst = Infinity;
    while (end < sorted.length) {
      const more = area + sorted[end].weight * scale;
      const ratio = worstRatio(sorted[start].weight * scale, sorted[end].weight * scale, more, side);
      if (ratio > worst) break;
      worst = ratio;
      area = more;
      end += 1;
    }
    const depth = side > 0 ? area / side : 0;
    let along = 0;
    for (const item of sorted.slice(start, end)) {
      const length = depth > 0 ? (item.weight * scale) / depth : 0;
      placed.push([item, w < h
        ? { x: x + along, y, w: length, h: depth }
        : { x, y: y + along, w: depth, h: length }]);
      along += length;
    }
    if (w < h) { y += depth; h -= depth; } else { x += depth; w -= depth; }
    start = end;
  }
  return placed;
}

/** The worst ratio of sides in a row of areas between `least` and `most` that sum up to `sum`. */
function worstRatio(most, least, sum, side) {
  const square = sum * sum;
  return Math.max((side * side * most) / square, square / (side * side * least));
}
