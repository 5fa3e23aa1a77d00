
/* The point that all planes of all series go through, and the controls that move it. */

const NOTCH = 50; // pixels of scrolling; a step of most wheels is 100
const RIM = 0.6; // of the image that a rim covers more than the inside
const PAGE = 10; // slices
const every = (selector, within = document) => [...within.querySelectorAll(selector)];
const control = (id) => document.getElementById(id);
const hidden = new Set();
let point = scene.start;
let panels = [];
let isWaiting = false;

function look() {
  const [low, high] = scene.windows[control("window").value];
  const opacity = Number(control("opacity")?.value ?? 0) / 100;
  const [insides, rims] = [opacity, opacity && Math.min(opacity + RIM, 1)].map((alpha) => {
    const colors = new Uint32Array(256);
    for (const [id, { color }] of Object.entries(scene.classes)) {
      const [red, green, blue] = [1, 3, 5].map((start) => parseInt(color.slice(start, start + 2), 16));
      if (!hidden.has(id)) colors[id] = pixel(red, green, blue, alpha);
    }
    return colors;
  });
  const grays = Uint32Array.from(scene.hu, (hu) => {
    const gray = clamp(Math.round((255 * (hu - low)) / (high - low)), 256);
    return pixel(gray, gray, gray, 1);
  });
  return { grays, insides, rims, cross: scene.crosshair, marksPoint: control("crosshair").checked };
}

/* As a canvas has it in memory: red first. */
function pixel(red, green, blue, alpha) {
  return new Uint32Array(Uint8Array.of(red, green, blue, Math.round(255 * alpha)).buffer)[0];
}

function redraw() {
  if (isWaiting) return; // one drawing for all that changes until the next frame
  isWaiting = true;
  requestAnimationFrame(() => {
    isWaiting = false;
    const now = look();
    for (const { series, planes, reading } of panels) {
      for (const plane of planes) plane.draw(point, now);
      reading.textContent = textOf(series);
    }
  });
}

const written = (number, digits) => number.toFixed(digits).replace("-", "−");

function textOf(series) {
  const place = `LPS ${point.map((mm) => written(mm, 1)).join(", ")} mm`;
  const voxel = series.voxelAt(point);
  if (!series.contains(voxel)) return `${place}: outside of this series`;
  const at = series.offset(voxel);
  const name = series.ids && scene.classes[series.ids[at]]?.name;
  return [place, `≈ ${written(scene.hu[series.levels[at]], 0)} HU`, name].filter(Boolean).join(" · ");
}

/* `finding` is the button that led there, none where the reader went by themselves. */
function go(to, finding = null) {
  point = to;
  for (const button of every("button[name=finding]")) {
    const row = button.closest("tr");
    button === finding ? row.setAttribute("aria-current", "true") : row.removeAttribute("aria-current");
  }
  redraw();
}

function step(plane, count) {
  const voxel = plane.series.voxelAt(point).map((index, axis) => clamp(index, plane.series.shape[axis]));
  voxel[plane.axis] = clamp(voxel[plane.axis] + count, plane.series.shape[plane.axis]);
  go(plane.series.pointAt(voxel));
}

function listen(plane) {
  const { stage, slider, series } = plane;
  let scrolled = 0;
  stage.addEventListener("wheel", (event) => {
    event.preventDefault();
    scrolled -= event.deltaY;
    const notches = Math.trunc(scrolled / NOTCH);
    scrolled -= notches * NOTCH;
    if (notches) step(plane, Math.sign(notches));
  }, { passive: false });
  stage.addEventListener("keydown", (event) => {
    const count = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: PAGE, PageDown: -PAGE }[event.key];
    if (!count) return;
    event.preventDefault();
    step(plane, count);
  });
  for (const type of ["pointerdown", "pointermove"]) {
    stage.addEventListener(type, (event) => {
      if (!(event.buttons & 1)) return;
      if (type === "pointerdown") stage.setPointerCapture(event.pointerId);
      const { left, top, width } = stage.getBoundingClientRect();
      go(series.pointAt(plane.voxelUnder((event.clientX - left) / width, (event.clientY - top) / width)));
    });
  }
  slider.addEventListener("input", () => step(plane, Number(slider.value) - plane.index));
}

async function start() {
  panels = await Promise.all(every(".panel").map(async (panel, number) => {
    const series = await Series.read(scene.series[number], number);
    const planes = every("figure", panel).map((figure, i) => new PlaneView(figure, series, scene.planes[i]));
    planes.forEach(listen);
    return { series, planes, reading: panel.querySelector(".reading") };
  }));
  for (const id of ["window", "opacity", "crosshair"]) control(id)?.addEventListener("input", redraw);
  for (const box of every("input[name=class]")) {
    box.addEventListener("input", () => {
      box.checked ? hidden.delete(box.value) : hidden.add(box.value);
      redraw();
    });
  }
  for (const button of every("button[name=finding]")) {
    button.addEventListener("click", () => go(scene.centers[button.value], button));
  }
  new ResizeObserver(redraw).observe(document.body);
  control("state").remove();
  go(point, document.querySelector("button[name=finding]"));
}

start().catch((error) => {
  control("state").textContent = `The slices cannot be shown (${error}): browsers of 2023 and later can.`;
});
