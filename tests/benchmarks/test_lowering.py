"""Work of convolutions, read from a program of a GPU."""

import json

import jax
import pytest

from benchmarks import lowering

PARAMS = {
    "conv": {"kernel": jax.ShapeDtypeStruct((3, 3, 3, 4, 8), "float32")},
    "dense": {"kernel": jax.ShapeDtypeStruct((100, 2), "float32")},
}
PROGRAM = """HloModule step

ENTRY %main (x: f32[2,16,16,16,4], k: f32[3,3,3,4,8]) -> f32[2,16,16,16,8] {
  %x = f32[2,16,16,16,4]{4,3,2,1,0} parameter(0)
  %k = f32[8,3,3,3,4]{4,3,2,1,0} parameter(1)
  %g = f32[2,16,16,16,8]{4,3,2,1,0} parameter(2)
  %t = f32[2,16,16,16,4]{3,4,2,1,0} transpose(%x), dimensions={0,1,2,3,4}
  %f = (f32[2,16,16,16,8]{4,3,2,1,0}, u8[0]{0}) custom-call(%x, %k), window={size=3x3x3 pad=1_1}, dim_labels=b012f_o012i->b012f, custom_call_target="__cudnn$convForward"
  %i = (f32[2,16,16,16,4]{4,3,2,1,0}, u8[0]{0}) custom-call(%g, %k), window={size=3x3x3 pad=1_1}, dim_labels=b012f_o012i->b012f, custom_call_target="__cudnn$convBackwardInput"
  %w = (f32[8,3,3,3,4]{4,3,2,1,0}, u8[0]{0}) custom-call(%x, %g), window={size=3x3x3 pad=1_1}, dim_labels=b012f_o012i->b012f, custom_call_target="__cudnn$convBackwardFilter"
  ROOT %wrapped = f32[2,16,16,16,8]{3,4,2,1,0} fusion(%g), kind=kInput, calls=%wrapped_transpose
}
"""  # noqa: E501
VOXELS = 2 * 16**3


def test_value_and_both_gradients_of_a_convolution_are_as_much_work():
    kept = lowering.summary(PROGRAM, PARAMS)
    assert kept["convolutions"] == {"Forward": 1, "BackwardInput": 1, "BackwardFilter": 1}
    assert kept["convolution_flops"] == 3 * 2 * VOXELS * 8 * 27 * 4


def test_windows_are_compared_with_kernels_not_with_layers_of_places():
    kept = lowering.summary(PROGRAM, PARAMS)
    assert (kept["largest_window"], kept["largest_kernel"]) == (3, 3)


def test_what_only_lays_an_array_out_is_counted_alone_or_as_a_kernel():
    kept = lowering.summary(PROGRAM, PARAMS)
    assert kept["moves"] == 2
    assert kept["moved_bytes"] == 2 * 4 * VOXELS * (4 + 8)


def test_a_row_has_the_work_beside_the_mathematics():
    kept = lowering.summary(PROGRAM, PARAMS)
    step = {"flops": kept["convolution_flops"] / 2, "moved_bytes": 4 * kept["moved_bytes"]}
    row = {"recipe": "p/r", "kernels": kept, "step": {**step, "collectives": {"x": {"count": 5}}}}
    assert lowering.table_row(row) == "| `p/r` | 1 | 1 | 1 | 2.00 | 3 of 3 | 2 | 25% | 5 |"


@pytest.mark.parametrize(("window", "status"), [(3, 0), (64, 1)])
def test_a_window_of_the_whole_image_stops_the_command(
    window, status, monkeypatch, tmp_path, capsys
):
    monkeypatch.setattr(lowering, "RESULTS", tmp_path)
    (tmp_path / "plans").mkdir()
    kept = lowering.summary(PROGRAM.replace("size=3x3x3", f"size={window}x3x3"), PARAMS)
    row = {"recipe": "s4c/pdac-64", "machine": "h100:8", "kernels": kept}
    (tmp_path / "plans" / "h100-8.json").write_text(json.dumps([row]))
    with pytest.raises(SystemExit) as stop:
        lowering.main()
    assert stop.value.code == status
    printed = capsys.readouterr()
    assert printed.out == ("" if status else "h100:8: 1 recipes, no window beyond its kernel\n")
    assert ("s4c/pdac-64 on h100:8" in printed.err) == bool(status)


SMALL_MAP = """HloModule step

ENTRY %main (x: f32[8,5,3,3,4], g: f32[8,5,3,3,8]) -> f32[8,3,3,3,4] {
  %x = f32[8,5,3,3,4]{4,3,2,1,0} parameter(0)
  %g = f32[8,5,3,3,8]{4,3,2,1,0} parameter(1)
  ROOT %w = (f32[4,3,3,3,8]{4,3,2,1,0}, u8[0]{0}) custom-call(%x, %g), window={size=5x3x3 pad=1_1x1_1x1_1}, dim_labels=f012b_i012o->b012f, custom_call_target="__cudnn$convForward"
}
"""  # noqa: E501


@pytest.mark.parametrize(("options", "largest"), [("", 3), (" lhs_dilate=2x2x2", 5)])
def test_a_map_as_small_as_the_kernel_is_no_window_of_an_image(options, largest):
    program = SMALL_MAP.replace("pad=1_1x1_1x1_1", f"pad=1_1x1_1x1_1{options}")
    assert lowering.summary(program, PARAMS)["largest_window"] == largest


def test_no_kept_result_has_a_window_beyond_its_kernels():
    with pytest.raises(SystemExit) as stop:
        lowering.main()
    assert stop.value.code == 0
