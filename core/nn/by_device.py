"""Convolutions in groups over a batch that devices share: each computes its own examples.

XLA cuts the batch of a plain convolution. Of one in groups, unless every channel is a group, it
gathers all examples on each device, which then computes all of them: 33 times in a forward pass of
ResNeXt-101, and as often in a backward one.
"""

from collections.abc import Callable

import jax
from jax.sharding import AbstractMesh, AxisType, PartitionSpec

from core.nn.xla_conv import Problem, Role

AXIS = "data"
"""Of a mesh, along which `core.sharding` cuts batches."""

Compute = Callable[[jax.Array, jax.Array], jax.Array]


def by_device(compute: Compute, problem: Problem, wanted: Role) -> Compute:
    """The same value, or gradient, of which each device computes the part of its examples.

    Args:
      compute: as of `core.nn.xla_conv.compute` with this problem and role.
      problem: what is convolved.
      wanted: what is computed; of a kernel's gradient XLA cuts the batch itself.
    """
    if problem.groups == 1 or wanted == "kernel":
        return compute

    def split(a: jax.Array, b: jax.Array) -> jax.Array:
        examples = a if wanted == "out" else b
        mesh = mesh_of(a, b)
        if mesh is None or len(examples) % mesh.shape[AXIS]:
            return compute(a, b)
        cut, whole = PartitionSpec(AXIS), PartitionSpec()
        return jax.shard_map(
            compute,
            mesh=mesh,
            in_specs=(cut, whole) if wanted == "out" else (whole, cut),
            out_specs=cut,
            axis_names={AXIS},
            check_vma=False,
        )(a, b)

    return split


def mesh_of(*arrays: jax.Array) -> AbstractMesh | None:
    """The mesh whose devices share a batch; None of one device, or of those that work alone."""
    for array in arrays:
        mesh = jax.typeof(array).sharding.mesh
        kinds = dict(zip(mesh.axis_names, mesh.axis_types, strict=True))
        if kinds.get(AXIS) == AxisType.Auto and mesh.shape[AXIS] > 1:
            return mesh
    return None
