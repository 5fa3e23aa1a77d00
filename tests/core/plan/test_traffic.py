"""What a program moves, from its text."""

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import PartitionSpec as P

from core import sharding
from core.plan.traffic import moved

pytestmark = pytest.mark.several_devices

LOOP = """HloModule loop, is_scheduled=true

%body (p: (s32[], f32[16])) -> (s32[], f32[16]) {
  %p = (s32[], f32[16]{0}) parameter(0)
  %i = s32[] get-tuple-element(%p), index=0
  %x = f32[16]{0} get-tuple-element(%p), index=1
  %y = f32[16]{0} negate(%x)
  ROOT %t = (s32[], f32[16]{0}) tuple(%i, %y)
}

%condition (p: (s32[], f32[16])) -> pred[] {
  %q = (s32[], f32[16]{0}) parameter(0)
  ROOT %less = pred[] constant(true)
}

ENTRY %main (a: f32[16]) -> f32[16] {
  %a = f32[16]{0} parameter(0)
  %zero = s32[] constant(0)
  %start = (s32[], /*index=1*/f32[16]{0:T(128)}) tuple(%zero, %a)
  %while = (s32[], f32[16]{0}) while(%start), condition=%condition, body=%body, BACKEND
  ROOT %out = f32[16]{0} get-tuple-element(%while), index=1
}
"""
FIVE_TIMES = 'backend_config={"known_trip_count":{"n":"5"}}'

STARTED = """HloModule started

ENTRY %main (a: bf16[8,4]) -> bf16[8,4] {
  %a = bf16[8,4]{1,0:T(8,128)(2,1)} parameter(0)
  %b = bf16[2,4]{1,0} slice(%a), slice={[0:2], [0:4]}
  %all-gather-start = (bf16[2,4]{1,0}, bf16[8,4]{1,0}) all-gather-start(%b), dimensions={0}
  ROOT %done = bf16[8,4]{1,0} all-gather-done(%all-gather-start)
}
"""


@pytest.mark.parametrize(("config", "times"), [(FIVE_TIMES, 5), ("metadata={}", 1)])
def test_what_a_loop_repeats_counts_as_often_where_its_length_is_known(config, times):
    read_and_written = 2 * 16 * 4
    assert moved(LOOP.replace("BACKEND", config)).memory == times * read_and_written


def test_a_transfer_counts_once_with_what_it_gathers():
    part, gathered = 2 * 4 * 2, 8 * 4 * 2
    result = moved(STARTED)
    assert result.collectives == {"all-gather": (1, gathered)}
    # The slice reads as much as it makes.
    assert result.memory == 2 * part + (part + gathered)


def test_what_is_on_the_chip_takes_no_memory_and_is_sent_all_the_same():
    result = moved(STARTED.replace("bf16[2,4]{1,0} slice", "bf16[2,4]{1,0:T(2,128)S(1)} slice"))
    assert result.collectives == {"all-gather": (1, 8 * 4 * 2)}
    assert result.memory == 2 * 4 * 2 + 8 * 4 * 2


def test_a_tpu_moves_whole_tiles():
    program = STARTED.replace(" slice(%a), slice={[0:2], [0:4]}", " negate(%a)")
    tile = 8 * 128 * 2
    assert moved(program).memory == tile + 2 * 4 * 2 + (2 * 4 * 2 + 8 * 4 * 2)


def test_a_product_reads_both_factors_and_writes_one_result():
    compiled = jax.jit(jnp.dot).lower(jnp.ones((8, 16)), jnp.ones((16, 4))).compile()
    assert moved(compiled.as_text()) == (4 * (8 * 16 + 16 * 4 + 8 * 4), {})


def test_a_sum_over_devices_is_one_all_reduce_of_its_bytes():
    mesh = sharding.mesh()
    place = jax.sharding.NamedSharding(mesh, P("data"))
    whole = jax.sharding.NamedSharding(mesh, P())
    image = jax.ShapeDtypeStruct((8, 32), jnp.float32, sharding=place)
    compiled = jax.jit(lambda x: x.sum(0), out_shardings=whole).lower(image).compile()
    assert moved(compiled.as_text()).collectives == {"all-reduce": (1, 32 * 4)}


def test_a_fusion_reads_the_slices_that_it_takes_and_writes_what_it_changes():
    text = """HloModule fused

%inside (a: f32[100,8], b: f32[50,8], i: s32[]) -> f32[50,8] {
  %a = f32[100,8]{1,0} parameter(0)
  %b = f32[50,8]{1,0} parameter(1)
  %i = s32[] parameter(2)
  %row = f32[1,8]{1,0} dynamic-slice(%a, %i, %i), dynamic_slice_sizes={1,8}
  ROOT %new = f32[50,8]{1,0} dynamic-update-slice(%b, %row, %i, %i)
}

ENTRY %main (a: f32[100,8], b: f32[50,8], i: s32[]) -> f32[50,8] {
  %p = f32[100,8]{1,0} parameter(0)
  %q = f32[50,8]{1,0} parameter(1)
  %j = s32[] parameter(2)
  ROOT %f = f32[50,8]{1,0} fusion(%p, %q, %j), kind=kLoop, calls=%inside
}
"""
    row, index = 8 * 4, 4
    assert moved(text).memory == row + index + row
