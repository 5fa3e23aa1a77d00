
/* One plane of one series on a canvas. `look` says how: grays by level, colors of the inside and of
   the rim of every id, and whether the point is marked. */
class PlaneView {
  constructor(figure, series, { axis, row, column, head_up: headUp, name }) {
    Object.assign(this, { figure, series, axis, row, column, headUp, name });
    [this.canvas, this.output, this.slider] =
      ["canvas", "output", "input"].map((tag) => figure.querySelector(tag));
    this.stage = figure.querySelector(".stage");
    this.numRows = series.shape[row];
    this.numColumns = series.shape[column];
    const size = [this.numColumns * series.spacing(column), this.numRows * series.spacing(row)];
    [this.width, this.height] = size.map((mm) => mm / Math.max(...size)); // of the square stage
    this.canvas.style.width = `${100 * this.width}%`;
    this.canvas.style.height = `${100 * this.height}%`;
    this.layer = new OffscreenCanvas(this.numColumns, this.numRows);
  }

  draw(point, look) {
    const voxel = this.series.voxelAt(point);
    const isInside = this.series.contains(voxel);
    this.index = clamp(voxel[this.axis], this.series.shape[this.axis]);
    const side = this.stage.clientWidth * devicePixelRatio;
    this.canvas.width = Math.max(1, Math.round(side * this.width));
    this.canvas.height = Math.max(1, Math.round(side * this.height));
    this.paint(this.grays(look.grays), true);
    if (this.series.ids) this.paint(this.colors(look.insides, look.rims), false);
    if (look.marksPoint && isInside) this.cross(voxel, look.cross);
    this.slider.value = this.index;
    this.output.textContent = isInside
      ? `${this.name} ${this.series.sliceText(this.axis, this.index)}`
      : `${this.name}: the position is outside of this series`;
  }

  /* Voxel under a place on the stage, as shares of its width and height; the border beyond it. */
  voxelUnder(x, y) {
    const voxel = [0, 0, 0];
    const share = [(x - 0.5) / this.width + 0.5, (y - 0.5) / this.height + 0.5];
    voxel[this.axis] = this.index;
    voxel[this.column] = clamp(Math.floor(share[0] * this.numColumns), this.numColumns);
    voxel[this.row] = this.flipped(clamp(Math.floor(share[1] * this.numRows), this.numRows));
    return voxel;
  }

  /* Row of the picture that shows a row of voxels, and the other way round. */
  flipped(row) {
    return this.headUp ? this.numRows - 1 - row : row;
  }

  /* Call with the offset of each voxel of the slice, its pixel, and its place in the slice. */
  walk(visit) {
    const { strides } = this.series;
    for (let r = 0; r < this.numRows; r++) {
      let voxel = this.index * strides[this.axis] + r * strides[this.row];
      let pixel = this.flipped(r) * this.numColumns;
      for (let c = 0; c < this.numColumns; c++, pixel++, voxel += strides[this.column]) visit(voxel, pixel, r, c);
    }
  }

  grays(table) {
    const pixels = new Uint32Array(this.numRows * this.numColumns);
    const { levels } = this.series;
    this.walk((voxel, pixel) => { pixels[pixel] = table[levels[voxel]]; });
    return pixels;
  }

  colors(insides, rims) {
    const pixels = new Uint32Array(this.numRows * this.numColumns);
    const { ids, strides } = this.series;
    const [down, across] = [strides[this.row], strides[this.column]];
    const [lastRow, lastColumn] = [this.numRows - 1, this.numColumns - 1];
    this.walk((voxel, pixel, r, c) => {
      const id = ids[voxel];
      if (!id) return;
      const isRim = r === 0 || c === 0 || r === lastRow || c === lastColumn ||
        ids[voxel - down] !== id || ids[voxel + down] !== id ||
        ids[voxel - across] !== id || ids[voxel + across] !== id;
      pixels[pixel] = (isRim ? rims : insides)[id];
    });
    return pixels;
  }

  paint(pixels, isSmooth) {
    const picture = new ImageData(new Uint8ClampedArray(pixels.buffer), this.numColumns, this.numRows);
    this.layer.getContext("2d").putImageData(picture, 0, 0);
    const context = this.canvas.getContext("2d");
    context.imageSmoothingEnabled = isSmooth;
    context.drawImage(this.layer, 0, 0, this.canvas.width, this.canvas.height);
  }

  cross(voxel, color) {
    const { width, height } = this.canvas;
    const x = ((voxel[this.column] + 0.5) / this.numColumns) * width;
    const y = ((this.flipped(voxel[this.row]) + 0.5) / this.numRows) * height;
    const gap = 10 * devicePixelRatio; // what is looked at stays free
    const context = this.canvas.getContext("2d");
    context.strokeStyle = color;
    context.globalAlpha = 0.7;
    context.beginPath();
    for (const [fromX, fromY, toX, toY] of
      [[0, y, x - gap, y], [x + gap, y, width, y], [x, 0, x, y - gap], [x, y + gap, x, height]]) {
      context.moveTo(fromX, fromY);
      context.lineTo(toX, toY);
    }
    context.stroke();
    context.globalAlpha = 1;
  }
}
