"""The case page in a browser: what lies where, on which side, and what a reader's hand does."""

import json

import numpy as np
import pytest

from core.io import nifti
from core.report.findings import Finding
from core.report.viewer import WINDOWS_HU, LabelClass, viewer_page
from core.report.viewer_panel import panel
from core.volume import CANONICAL_DIRECTION, Volume, canonical
from tests.browser import browser

SHAPE, SPACING = (20, 40, 30), (4.0, 1.0, 2.0)
VOXEL = (16, 6, 24)
"""Near the head, the front and the patient's left: in each plane in another quarter."""
AIR_HU, LESION_HU = -1000, 100
CLASSES = {1: LabelClass("organ", "#00ff00"), 2: LabelClass("tumor", "#ff0000")}
PLANES = ("axial", "coronal", "sagittal")
LETTERS = {"axial": "RLAP", "coronal": "RLHF", "sagittal": "APHF"}  # left, right, top, bottom
LIVER, SPLEEN, VERTEBRA_L1 = 5, 1, 31  # TotalSegmentator v2


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("profile")) as one:
        yield one


def volume(array, origin_mm=(-30.0, 40.0, -500.0)):
    return Volume(array, SPACING, origin_mm, CANONICAL_DIRECTION)


def lesion(value, rest, dtype):
    """A box of 16 × 8 × 8 mm around the voxel, in something else."""
    array = np.full(SHAPE, rest, dtype)
    d, h, w = VOXEL
    array[d - 2 : d + 2, h - 4 : h + 4, w - 2 : w + 2] = value
    return array


SCAN = volume(lesion(LESION_HU, AIR_HU, np.int16))
LABEL = lesion(2, 0, np.uint8)
LABEL[0, -4:, :4] = 1  # at the feet, the back and the patient's right


def point(voxel, of=SCAN):
    x, y, z = (of.affine_lps @ [*voxel, 1])[:3].tolist()
    return x, y, z


FINDINGS = [Finding("tumor 1", point(VOXEL), 17), Finding("organ 1", point((0, 38, 1)), 1)]


def opened(tab, folder, panels, **more):
    path = folder / "case #1 'é'.html"
    path.write_text(viewer_page("case", panels, classes=CLASSES, **more), "utf-8")
    tab.open(path)
    if tab.evaluate("document.getElementById('crosshair').checked"):
        tab.click("#crosshair")


def figure(plane, series=0):
    return f'[data-series="{series}"] [data-plane="{PLANES.index(plane)}"]'


def shares(tab, plane, condition):
    """Mean x and y, and width and height, of pixels (r, g, b), as shares of the square stage."""
    return tab.evaluate(
        f"""(() => {{
          const canvas = document.querySelector('{figure(plane)} canvas');
          const {{ data, width, height }} = canvas.getContext("2d").getImageData(
            0, 0, canvas.width, canvas.height);
          const xs = [], ys = [];
          for (let i = 0; i < width * height; i++) {{
            const [r, g, b] = data.subarray(4 * i, 4 * i + 3);
            if ({condition}) {{ xs.push(i % width); ys.push(Math.floor(i / width)); }}
          }}
          const side = canvas.parentElement.clientWidth;
          const [left, top] = [(side - width) / 2, (side - height) / 2];
          const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
          const extent = (values) => Math.max(...values) - Math.min(...values) + 1;
          return [mean(xs) + left, mean(ys) + top, extent(xs), extent(ys)].map((v) => v / side);
        }})()"""
    )


def outputs(tab, series=0):
    return [tab.text(f"{figure(plane, series)} output") for plane in PLANES]


def slices(*numbers):
    """What the planes say that they show."""
    triples = zip(PLANES, numbers, SHAPE, strict=True)
    return [f"{plane} slice {number} of {count}" for plane, number, count in triples]


BRIGHT, RED = "r > 100 && g > 100", "r > 100 && g < 60"


def test_a_known_voxel_is_where_radiologists_expect_it(tab, tmp_path):
    opened(tab, tmp_path, [panel("x", SCAN)], findings=FINDINGS[:1])
    left, front, head = 24.0 * 2, 6.0, (20 - 16.0) * 4  # mm from the right, the front, the head
    wide, deep, high = 30 * 2, 40, 20 * 4  # of the whole scan, mm
    expected = {
        "axial": (left, front, wide, deep),
        "coronal": (left, head, wide, high),
        "sagittal": (front, head, deep, high),
    }
    for plane, (across, down, width, height) in expected.items():
        side = max(width, height)
        x, y, *_ = shares(tab, plane, BRIGHT)
        assert x * side - (side - width) / 2 == pytest.approx(across, abs=1)
        assert y * side - (side - height) / 2 == pytest.approx(down, abs=1)


def test_letters_name_the_sides(tab, tmp_path):
    opened(tab, tmp_path, [panel("x", SCAN)])
    for plane, letters in LETTERS.items():
        sides = ("left", "right", "top", "bottom")
        assert "".join(tab.text(f"{figure(plane)} .{side}") for side in sides) == letters
        boxes = tab.evaluate(
            f"""{json.dumps(sides)}.map((side) => {{
              const box = document.querySelector(`{figure(plane)} .${{side}}`)
                .getBoundingClientRect();
              const stage = document.querySelector("{figure(plane).replace('"', "'")} .stage")
                .getBoundingClientRect();
              return [(box.x + box.width / 2 - stage.x) / stage.width,
                      (box.y + box.height / 2 - stage.y) / stage.height];
            }})"""
        )
        (left, _), (right, _), (_, top), (_, bottom) = boxes
        assert max(left, top) < 0.2 < 0.8 < min(right, bottom)


def test_millimeters_are_of_equal_length_in_every_plane(tab, tmp_path):
    opened(tab, tmp_path, [panel("x", SCAN)], findings=FINDINGS[:1])
    sizes_mm = {"axial": (8, 8), "coronal": (8, 16), "sagittal": (8, 16)}
    for plane, (width, height) in sizes_mm.items():
        *_, across, down = shares(tab, plane, BRIGHT)
        assert down / across == pytest.approx(height / width, rel=0.1)  # smoothed over a pixel


def test_a_finding_moves_all_planes_and_says_where_that_is(tab, tmp_path):
    opened(tab, tmp_path, [panel("x", SCAN, LABEL)], findings=FINDINGS)
    assert outputs(tab) == slices(17, 7, 25)
    assert tab.text(".reading") == "LPS 18.0, 46.0, −436.0 mm · ≈ 100 HU · tumor"
    tab.click('button[value="1"]')
    assert outputs(tab) == slices(1, 39, 2)
    assert tab.text(".reading").startswith("LPS −28.0, 78.0, −500.0 mm · ≈ −")
    assert tab.text(".reading").endswith(" HU · organ")
    assert tab.text("tr[aria-current] button") == "organ 1"


def test_wheel_keys_and_slider_change_the_slice(tab, tmp_path):
    opened(tab, tmp_path, [panel("x", SCAN)], findings=FINDINGS[:1])
    stage = f"{figure('axial')} .stage"
    tab.scroll(stage, -100)
    assert outputs(tab)[0] == "axial slice 18 of 20"
    tab.scroll(stage, 100)
    tab.scroll(stage, 100)
    assert outputs(tab) == slices(16, 7, 25)
    tab.evaluate(f"document.querySelector(`{stage}`).focus()")
    for key, number in {"ArrowUp": 17, "ArrowDown": 16, "PageDown": 6, "PageUp": 16}.items():
        tab.press(key)
        assert outputs(tab)[0] == f"axial slice {number} of 20"
    tab.press("PageUp")
    assert outputs(tab)[0] == "axial slice 20 of 20"
    tab.click(f"{figure('coronal')} input", 0.999)
    assert outputs(tab)[1] == "coronal slice 40 of 40"


def test_a_click_moves_the_other_planes_there(tab, tmp_path):
    opened(tab, tmp_path, [panel("x", SCAN)], findings=FINDINGS[:1])
    # The coronal plane is 60 of 80 mm wide; 80 mm high with the head on top.
    tab.click(f"{figure('coronal')} .stage", (10 + 5) / 80, 1 - 6 / 80)
    assert outputs(tab) == slices(2, 7, 3)


def test_a_class_can_be_hidden_and_the_overlay_made_clear(tab, tmp_path):
    opened(tab, tmp_path, [panel("x", SCAN, LABEL)], findings=FINDINGS[:1])
    x, y, *_ = shares(tab, "axial", RED)
    assert x > 0.6
    assert y < 0.4
    tab.click('input[name="class"][value="2"]')
    assert shares(tab, "axial", RED)[0] is None
    tab.click('input[name="class"][value="2"]')
    assert shares(tab, "axial", RED)[0] == pytest.approx(x)
    tab.click("#opacity", 0.001)
    assert shares(tab, "axial", RED)[0] is None


@pytest.mark.parametrize("name", WINDOWS_HU)
def test_a_window_runs_from_black_to_white(tab, tmp_path, name):
    opened(tab, tmp_path, [panel("x", SCAN)], findings=FINDINGS[:1])
    number = list(WINDOWS_HU).index(name)
    tab.evaluate(
        f"document.getElementById('window').value = {number};"
        "document.getElementById('window').dispatchEvent(new Event('input'))"
    )
    tab.settle()
    low, high = WINDOWS_HU[name]
    gray = 255 * (LESION_HU - low) / (high - low)
    assert 0 < gray < 255
    x, y, *_ = shares(tab, "axial", f"Math.abs(r - {gray}) <= 1 && r === g && g === b")
    brightest_x, brightest_y, *_ = shares(tab, "axial", f"r > {gray} / 2 + 20")
    assert (x, y) == pytest.approx((brightest_x, brightest_y), abs=0.02)


def test_two_series_move_together_by_their_position(tab, tmp_path):
    moved = volume(SCAN.array, (-30.0, 40.0, -500.0 + 3 * 4.0))  # three slices nearer to the head
    opened(tab, tmp_path, [panel("venous", SCAN), panel("arterial", moved)], findings=FINDINGS[:1])
    assert [outputs(tab, i)[0] for i in (0, 1)] == ["axial slice 17 of 20", "axial slice 14 of 20"]
    tab.scroll(f"{figure('axial', 1)} .stage", -100)
    assert [outputs(tab, i)[0] for i in (0, 1)] == ["axial slice 18 of 20", "axial slice 15 of 20"]
    tab.evaluate(f"document.querySelector(`{figure('axial')} .stage`).focus()")
    for _ in range(2):
        tab.press("PageDown")
    assert outputs(tab, 0)[0] == "axial slice 1 of 20"
    assert outputs(tab, 1)[0] == "axial: the position is outside of this series"


def test_a_scan_shown_by_blocks_names_the_slices_behind_each(tab, tmp_path):
    small = panel("x", SCAN, LABEL, max_voxels=20 * 20 * 30)
    assert small.block == (1, 2, 1)
    opened(tab, tmp_path, [small], findings=FINDINGS[:1])
    assert outputs(tab)[1] == "coronal slices 7–8 of 40"
    assert tab.text(".reading").endswith("100 HU · tumor")


def test_the_page_asks_for_nothing_but_itself(tab, tmp_path):
    before = len(tab.requests)
    opened(tab, tmp_path, [panel("x", SCAN, LABEL)], findings=FINDINGS)
    (request,) = tab.requests[before:]
    assert request.startswith("file:///")


def test_a_name_from_outside_is_text_and_runs_nothing(tab, tmp_path):
    evil = "</script><img src=x onerror='window.harmed = 1'><script>window.harmed = 1</script>"
    found = FINDINGS[0]._replace(name=evil, note=evil)
    opened(tab, tmp_path, [panel(evil, SCAN)], findings=[found])
    assert tab.evaluate("window.harmed === undefined")
    assert tab.text("h2") == tab.text('button[name="finding"]') == evil


def test_a_browser_that_is_too_old_says_so(tab, tmp_path):
    path = tmp_path / "case.html"
    path.write_text(viewer_page("case", [panel("x", SCAN)], classes=CLASSES))
    tab.open(path, before="delete self.DecompressionStream")
    assert "cannot be shown" in tab.text("#state")
    assert "browsers of 2023 and later" in tab.text("#state")


def test_a_single_slice_is_shown(tab, tmp_path):
    opened(tab, tmp_path, [panel("x", volume(SCAN.array[16:17]))])
    assert outputs(tab)[0] == "axial slice 1 of 1"
    tab.scroll(f"{figure('axial')} .stage", -100)
    assert outputs(tab)[0] == "axial slice 1 of 1"
    assert shares(tab, "axial", BRIGHT)[0] > 0.5


def test_a_real_scan_has_the_liver_on_the_left_and_the_spine_behind(tab, tmp_path, shared_data):
    folder = shared_data / "ct_abdomen"
    image = canonical(nifti.read(folder / "example_ct.nii.gz"))
    ids = canonical(nifti.read_label(folder / "example_ct_seg.nii.gz")).array
    expected = {  # as shares of the stage, from the left and from the top
        LIVER: {"axial": ("x < 0.4", ""), "coronal": ("x < 0.45", "y < 0.4")},
        SPLEEN: {"axial": ("x > 0.6", "")},
        VERTEBRA_L1: {"axial": ("y > 0.55", ""), "sagittal": ("x > 0.55", "y < 0.4")},
    }
    for id_, planes in expected.items():
        label = (2 * (ids == id_)).astype(np.uint8)
        opened(tab, tmp_path, [panel("x", image, label)])
        for plane, conditions in planes.items():
            x, y, *_ = shares(tab, plane, "r - g > 60")
            for condition in filter(None, conditions):
                name, sign, bound = condition.split()
                value = {"x": x, "y": y}[name]
                assert (value < float(bound)) == (sign == "<"), (id_, plane, condition, value)
