// Drawing of COCO RLE masks: a translucent fill and a contour, at the video's size.

const HELD = 96;
const painted = new Map(); // key -> {canvas, box}

// Decode the run lengths, zeros first, column-major.
export function runLengths(counts) {
  const runs = [];
  let at = 0;
  while (at < counts.length) {
    let value = 0;
    let shift = 0;
    let code;
    do {
      code = counts.charCodeAt(at++) - 48;
      value |= (code & 31) << shift;
      shift += 5;
    } while (code & 32);
    if (code & 16) value |= -1 << shift; // sign extension
    // From the fourth on, a length is stored as the difference to the one two before.
    runs.push(runs.length > 2 ? value + runs[runs.length - 2] : value);
  }
  return runs;
}

// Decode to bytes [height * width], row-major, and the bounding box {x0, y0, x1, y1, area}.
export function unpack(rle) {
  const [height, width] = rle.size;
  const mask = new Uint8Array(height * width);
  const box = { x0: width, y0: height, x1: 0, y1: 0, area: 0 };
  let at = 0;
  let inside = false;
  for (const length of runLengths(rle.counts)) {
    for (let k = at; inside && k < at + length; k++) {
      const x = Math.floor(k / height);
      const y = k % height;
      mask[y * width + x] = 1;
      if (x < box.x0) box.x0 = x;
      if (x > box.x1) box.x1 = x;
      if (y < box.y0) box.y0 = y;
      if (y > box.y1) box.y1 = y;
      box.area++;
    }
    at += length;
    inside = !inside;
  }
  return { mask, width, height, box };
}

// A canvas with the mask; fill: opacity, line: width of the contour in pixels, dashed or not.
export function paint(rle, [red, green, blue], fill, line, dashed = false) {
  const key = `${red},${green},${blue},${fill},${line},${dashed},${rle.counts}`;
  const known = painted.get(key);
  if (known) return known;
  const { mask, width, height, box } = unpack(rle);
  const canvas = new OffscreenCanvas(width, height);
  const picture = new ImageData(width, height);
  const outside = (x, y) => x < 0 || y < 0 || x >= width || y >= height || !mask[y * width + x];
  const near = Math.max(1, Math.round(line * 0.7));
  const around = [
    [line, 0], [-line, 0], [0, line], [0, -line], [near, near], [near, -near], [-near, near], [-near, -near],
  ];
  for (let y = box.y0; y <= box.y1; y++) {
    for (let x = box.x0; x <= box.x1; x++) {
      const i = y * width + x;
      if (!mask[i]) continue;
      const gap = dashed && Math.floor((x + y) / (3 * line)) % 2 === 1;
      const edge = !gap && around.some(([dx, dy]) => outside(x + dx, y + dy));
      picture.data[4 * i] = red;
      picture.data[4 * i + 1] = green;
      picture.data[4 * i + 2] = blue;
      picture.data[4 * i + 3] = edge ? 255 : Math.round(255 * fill);
    }
  }
  canvas.getContext("2d").putImageData(picture, 0, 0);
  const made = { canvas, box };
  painted.set(key, made);
  if (painted.size > HELD) painted.delete(painted.keys().next().value);
  return made;
}

// The colour of an object, the same as in exported videos: [red, green, blue].
export function colour(id) {
  const hue = (0.55 + id * 0.618034) % 1;
  const value = id % 2 ? 1 : 0.85;
  const part = (n) => {
    const k = (n + 6 * hue) % 6;
    return Math.round(255 * value * (1 - 0.8 * Math.max(0, Math.min(k, 4 - k, 1))));
  };
  return [part(5), part(3), part(1)];
}

export const css = (id) => `rgb(${colour(id).join(" ")})`;
