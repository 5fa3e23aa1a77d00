"use strict";

/* What the page carries: every series in levels of Hounsfield units and with its label map, on a
   grid (d, h, w) that runs to the head, the back and the left; points are LPS millimeters. */

const scene = JSON.parse(document.getElementById("scene").textContent);

const transform = (matrix, [a, b, c]) => matrix.map(([i, j, k, offset]) => i * a + j * b + k * c + offset);
const clamp = (value, count) => Math.min(Math.max(value, 0), count - 1);

/* Bytes of an embedded array, stored as differences of each slice to the one before it. */
async function unpack(id, sliceSize) {
  const element = document.getElementById(id);
  if (!element) return null;
  const text = atob(element.textContent);
  element.remove();
  const packed = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) packed[i] = text.charCodeAt(i);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  for (let i = sliceSize; i < bytes.length; i++) bytes[i] += bytes[i - sliceSize];
  return bytes;
}

class Series {
  constructor(description, levels, ids) {
    const [, height, width] = description.shape;
    Object.assign(this, description, { levels, ids, strides: [height * width, width, 1] });
  }

  static async read(description, number) {
    const [, height, width] = description.shape;
    const [levels, ids] = await Promise.all(
      ["image", "label"].map((name) => unpack(`${name}-${number}`, height * width)));
    return new Series(description, levels, ids);
  }

  /* Nearest voxel, which lies outside of the grid where the point does. */
  voxelAt(point) {
    return transform(this.to_index, point).map(Math.round);
  }

  pointAt(voxel) {
    return transform(this.to_mm, voxel);
  }

  contains(voxel) {
    return voxel.every((index, axis) => index >= 0 && index < this.shape[axis]);
  }

  offset(voxel) {
    return voxel.reduce((sum, index, axis) => sum + index * this.strides[axis], 0);
  }

  /* Millimeters between voxels along an axis. */
  spacing(axis) {
    return Math.hypot(...this.to_mm.map((row) => row[axis]));
  }

  /* Which slices of the scan, from 1, a slice shown stands for. */
  sliceText(axis, index) {
    const [first, count] = [index * this.block[axis] + 1, this.source[axis]];
    const last = Math.min(first + this.block[axis] - 1, count);
    return first === last ? `slice ${first} of ${count}` : `slices ${first}–${last} of ${count}`;
  }
}
