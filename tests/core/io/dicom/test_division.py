"""Which slices of a series are one volume, and which are several."""

import itertools

import numpy as np
import pytest
from pydicom.uid import generate_uid

from core.io.dicom.pixels import read_hu
from core.io.dicom.warnings import quiet
from tests.core.io.dicom.look import find, find_volumes, read, refusal
from tests.core.io.dicom.make import AXIAL, enhanced, hu, one_slice, save

STEP_MM = 2.5
SEEDS = itertools.count()


def at(positions_mm, values=None, **changes):
    """Slices of one series at positions; a change is one value, or one for each slice."""
    num = len(positions_mm)
    values = hu((num, 6, 8), seed=next(SEEDS)) if values is None else values
    made = []
    for k, (mm, pixels) in enumerate(zip(positions_mm, values, strict=True)):
        own = {n: v[k] if isinstance(v, list) and len(v) == num else v for n, v in changes.items()}
        number = own.pop("InstanceNumber", k + 1)
        place = {"series": "A", "orientation": AXIAL, "spacing_mm": (0.7, 0.8)}
        (d,) = [one_slice(pixels, position=(0, 0, mm), number=number, **place, **own)]
        d.SOPInstanceUID = generate_uid()
        made.append(d)
    return made


def up(num=10, start_mm=0.0):
    return [start_mm + STEP_MM * k for k in range(num)]


def shapes(folder):
    """Steps between slices and lowest positions of the volumes of a folder."""
    volumes, reasons = find(folder)
    assert reasons == []
    heights = [[frame.position_mm[2] for frame in volume] for volume in volumes]
    return sorted((h[0], h[1] - h[0], len(h)) for h in heights)


def clock(seconds):
    hours, rest = divmod(seconds, 3600)
    return f"{int(hours) % 24:02d}{int(rest // 60):02d}{rest % 60:06.3f}"


TOLD = {
    "acquisition": [{"AcquisitionNumber": 1}, {"AcquisitionNumber": 2}],
    "kernel": [{"ConvolutionKernel": "B30f"}, {"ConvolutionKernel": ["B70f", "3"]}],
    "contrast": [{"ContrastBolusAgent": ""}, {"ContrastBolusAgent": "OMNI"}],
    "temporal position": [{"TemporalPositionIdentifier": 1}, {"TemporalPositionIdentifier": 2}],
    "echo": [{"EchoNumbers": 1}, {"EchoNumbers": 2}],
    "voltage": [{"KVP": "80"}, {"KVP": "140"}],
    "heart phase": [{"TriggerTime": "300"}, {"TriggerTime": "700"}],
    "thickness": [{"SliceThickness": "2.5"}, {"SliceThickness": "5"}],
    "description": [{"SeriesDescription": "art"}, {"SeriesDescription": "ven"}],
    "image type": [{}, {"ImageType": ["ORIGINAL", "SECONDARY", "AXIAL"]}],
    "time": [{"AcquisitionTime": "120000"}, {"AcquisitionTime": "120045"}],
    "time past midnight": [{"AcquisitionTime": "235950"}, {"AcquisitionTime": "000035"}],
    "date and time": [
        {"AcquisitionTime": None, "AcquisitionDateTime": "20200101120000.5+0100"},
        {"AcquisitionTime": None, "AcquisitionDateTime": "20200101120045.5+0100"},
    ],
}


@pytest.mark.parametrize("offset_mm", [0, STEP_MM / 2, 6.4 * STEP_MM])
@pytest.mark.parametrize("name", TOLD)
def test_volumes_that_overlap_are_told_apart(tmp_path, name, offset_mm):
    first, second = TOLD[name]
    both = at(up(), **first) + at(up(start_mm=offset_mm), **second)
    assert shapes(save(tmp_path, both)) == [(0, STEP_MM, 10), (offset_mm, STEP_MM, 10)]


def test_three_phases_of_two_kernels_are_six_volumes(tmp_path):
    six = [
        d
        for number in (1, 2, 3)
        for kernel in ("B30f", "B70f")
        for d in at(up(), AcquisitionNumber=number, ConvolutionKernel=kernel)
    ]
    assert shapes(save(tmp_path, six)) == [(0, STEP_MM, 10)] * 6


def test_table_positions_that_a_second_pass_repeats_are_two_volumes(tmp_path):
    passes = [
        d
        for number, (start, second) in enumerate([(0, 0), (25, 5), (0, 40), (25, 45)])
        for d in at(up(start_mm=start), AcquisitionNumber=number, AcquisitionTime=clock(second))
    ]
    assert shapes(save(tmp_path, passes)) == [(0, STEP_MM, 20)] * 2


SCANS = {
    "spiral": lambda k: {"AcquisitionTime": clock(100 + 0.25 * k)},
    "spiral to the feet": lambda k: {"AcquisitionTime": clock(100 - 0.25 * k)},
    "times in disorder": lambda k: {"AcquisitionTime": clock(100 + 7 * k % 20)},
    "over midnight": lambda k: {"AcquisitionTime": clock(24 * 3600 - 3 + 0.25 * k)},
    "made in disorder": lambda k: {"ContentTime": clock(100 + 7 * k % 20)},
    "numbered in disorder": lambda k: {"InstanceNumber": 7 * k % 20},
    "axial, four slices at once": lambda k: {
        "AcquisitionTime": clock(100 + k // 4),
        "AcquisitionNumber": k // 4,
    },
    "two table positions": lambda k: {"AcquisitionTime": clock(100 + 60 * (k < 10))},
    "a number for each slice": lambda k: {"AcquisitionNumber": k, "TriggerTime": str(37 * k)},
    "in pairs": lambda k: {"AcquisitionNumber": k // 2 % 2},
    "current by slice": lambda k: {"XRayTubeCurrent": 100 + 50 * (k % 2)},
    "contrast from half way on": lambda k: {"ContrastBolusAgent": "OMNI" if k > 9 else ""},
    "kernel from half way on": lambda k: {"ConvolutionKernel": "B30f" if k > 9 else "B70f"},
    "damaged elements that are of no use": lambda k: {"AcquisitionTime": "noon"},
}


@pytest.mark.parametrize("name", SCANS)
def test_a_scan_whose_slices_differ_in_the_header_is_one_volume(tmp_path, name):
    changes = [SCANS[name](k) for k in range(20)]
    columns = {key: [c[key] for c in changes] for key in changes[0]}
    with quiet():
        folder = save(tmp_path, at(up(20), hu((20, 6, 8)), **columns))
    np.testing.assert_array_equal(read(folder).array, hu((20, 6, 8)))


@pytest.mark.parametrize("way", [1, -1])
@pytest.mark.parametrize("jitter_s", [0, 2])
@pytest.mark.parametrize("offset_mm", [0, STEP_MM / 2])
def test_times_of_each_slice_tell_two_passes(tmp_path, offset_mm, jitter_s, way):
    disorder = np.random.default_rng(0).uniform(0, jitter_s, 20)
    times = [clock(100 + 0.5 * k + 30 * (k > 9) + disorder[k]) for k in range(20)]
    positions = up() + up(start_mm=offset_mm)[::way]
    folder = save(tmp_path, at(positions, AcquisitionTime=times))
    assert shapes(folder) == [(0, STEP_MM, 10), (offset_mm, STEP_MM, 10)]


SECOND = {
    "back": up()[::-1],
    "again": up(),
    "from just below": up(start_mm=-STEP_MM),
    "from above, back": up(start_mm=7 * STEP_MM)[::-1],
}


@pytest.mark.parametrize("name", SECOND)
def test_a_table_that_does_not_pause_between_two_passes_is_seen_to_turn(tmp_path, name):
    times = [clock(100 + 0.5 * k) for k in range(20)]
    folder = save(tmp_path, at(up() + SECOND[name], AcquisitionTime=times, InstanceNumber=1))
    assert shapes(folder) == sorted([(0, STEP_MM, 10), (min(SECOND[name]), STEP_MM, 10)])


def test_a_pass_over_midnight_is_one(tmp_path):
    times = [clock(24 * 3600 - 2.25 + 0.5 * k + 30 * (k > 9)) for k in range(20)]
    folder = save(tmp_path, at(up() + up(), AcquisitionTime=times, InstanceNumber=1))
    assert shapes(folder) == [(0, STEP_MM, 10)] * 2


@pytest.mark.parametrize("name", ["ContentTime", "InstanceNumber"])
def test_what_says_least_divides_only_where_positions_repeat(tmp_path, name):
    times = [clock(k) for k in range(20)]
    number = {"InstanceNumber": [*range(1, 21)], "ContentTime": None}
    told = number if name == "InstanceNumber" else {"InstanceNumber": 1, "ContentTime": times}
    repeated = at(up() + up(), AcquisitionTime=None, **told)
    assert shapes(save(tmp_path / "a", repeated)) == [(0, STEP_MM, 10)] * 2
    between = at(up() + up(start_mm=1.25), AcquisitionTime=None, **told)
    assert shapes(save(tmp_path / "b", between)) == [(0, STEP_MM / 2, 20)]


def test_equal_slices_of_two_volumes_are_no_duplicates(tmp_path):
    first, second = hu(seed=1), hu(seed=2)
    second[[0, 5]] = first[[0, 5]]
    both = at(up(), first) + at(up(), second, AcquisitionNumber=2)
    volumes, reasons = find(save(tmp_path, both))
    assert reasons == []
    arrays = sorted((read_hu(v) for v in volumes), key=lambda a: (a == second).all())
    np.testing.assert_array_equal(arrays, [first, second])


def test_a_series_that_was_sent_twice_is_one_volume(tmp_path):
    volumes, reasons = find(
        save(tmp_path, at(up(), hu()) + at(up(), hu(), SeriesDescription="copy"))
    )
    assert [len(v) for v in volumes] == [10]
    assert len(reasons) == 10
    assert all(reason.startswith("a duplicate of") for reason in reasons)


def test_passes_without_anything_that_tells_them_are_refused_with_their_counts(tmp_path):
    told = {"AcquisitionTime": None, "ContentTime": None, "InstanceNumber": 1}
    folder = save(tmp_path, at(up(12), **told) + at(up(12), hu((12, 6, 8), seed=9), **told))
    assert refusal(folder).endswith(
        "24 slices: 24 slices share 12 positions: the first pair is at 0.00 mm along the normal"
    )


def test_three_slices_at_one_position_are_counted(tmp_path):
    extra = [at([5.0], hu((1, 6, 8), seed=s))[0] for s in (5, 6)]
    assert "12 slices: 3 slices share a position: the first" in refusal(
        save(tmp_path, at(up()) + extra)
    )


FRAMES = {
    "stacks": lambda n, k: {"StackID": str(n), "InStackPositionNumber": k + 1},
    "temporal positions": lambda n, k: {"TemporalPositionIndex": n + 1},
    "dimensions": lambda n, k: {"DimensionIndexValues": [n + 1, k + 1]},
    "dimensions, position first": lambda n, k: {"DimensionIndexValues": [k + 1, n + 1]},
    "acquisitions": lambda n, k: {"FrameAcquisitionNumber": n + 1},
    "times": lambda n, k: {"FrameAcquisitionDateTime": f"2020010112{n:02d}{k:02d}"},
    "a number for each frame as well": lambda n, k: {
        "TemporalPositionIndex": n + 1,
        "FrameAcquisitionNumber": 1 + k + 20 * n,
    },
}


@pytest.mark.parametrize("offset_mm", [0, STEP_MM / 2])
@pytest.mark.parametrize("name", FRAMES)
def test_a_multi_frame_file_is_divided_by_its_dimensions(tmp_path, name, offset_mm):
    pixels = hu((20, 6, 8))
    frames = [
        (mm, pixels[10 * n + k], FRAMES[name](n, k))
        for n in (0, 1)
        for k, mm in enumerate(up(start_mm=n * offset_mm))
    ]
    volumes, reasons = find(save(tmp_path, [enhanced(frames)]))
    assert reasons == []
    np.testing.assert_array_equal(sorted(_sums(volumes)), sorted(_sums_of(pixels)))


def _sums(volumes):
    return [read_hu(v).sum() for v in volumes]


def _sums_of(pixels):
    return [pixels[:10].sum(), pixels[10:].sum()]


@pytest.mark.parametrize(("gap_mm", "lengths"), [(0, [20]), (20, [10, 10])])
def test_stacks_of_a_multi_frame_file_are_volumes_unless_they_are_one(tmp_path, gap_mm, lengths):
    positions = up() + up(start_mm=10 * STEP_MM + gap_mm)
    frames = [
        (mm, pixels, {"StackID": str(k // 10)})
        for k, (mm, pixels) in enumerate(zip(positions, hu((20, 6, 8)), strict=True))
    ]
    volumes, reasons = find(save(tmp_path, [enhanced(frames)]))
    assert ([len(v) for v in volumes], reasons) == (lengths, [])


def test_every_frame_is_rescaled_by_its_own_values(tmp_path):
    rescales = [(1 + k % 3, -1024 - k) for k in range(10)]
    frames = [(mm, p, {"rescale": r}) for mm, p, r in zip(up(), hu(), rescales, strict=True)]
    slope, intercept = np.array(rescales).T[..., None, None]
    volume = read(save(tmp_path, [enhanced(frames)]))
    np.testing.assert_array_equal(volume.array, (hu().astype(int) + 1024) * slope + intercept)


CASES = {
    "ct_two_acquisitions_interleaved/phases": [(100.0, 2.5, 12), (101.25, 2.5, 12)],
    "ct_phases_told_by_time_only/series": [(100.0, 2.5, 12), (100.0, 2.5, 12)],
}


@pytest.mark.parametrize("name", CASES)
def test_field_cases_of_two_passes_are_two_volumes(shared_data, name):
    folder = shared_data / "field_cases" / name
    assert shapes(folder) == CASES[name]
    volumes, _ = find_volumes(folder, min_slices=8)
    names = [sorted(int(f.path.stem) for f in v) for v in volumes]
    assert names == [[*range(12)], [*range(12, 24)]]
