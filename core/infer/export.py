"""Networks as programs that run without this package: `jax.export`, for every platform at once.

One .npz holds all: what `np.load` gives needs no other reader. For each network NAME it has

  NAME/program     uint8, for `jax.export.deserialize`: (weights, *arrays) → answer
  NAME/weights/…   the arrays of `weights`, a flat dict by what follows "weights/"

and once `about`, JSON: what surrounds the networks. Convolutions are lowered per platform
(`core.nn`), and so they are in a program: each platform's own stands in it.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import export
from jaxtyping import Array
from numpy.typing import NDArray

from core import atomic, json_io

PLATFORMS = ("cpu", "cuda", "tpu")


class Program(NamedTuple):
    """A trained network as it is asked.

    Args:
      ask: (variables, *arrays) → answer; pure.
      variables: tree of arrays.
      inputs: shapes and types of the arrays; sizes may be symbols of `jax.export`.
    """

    ask: Callable[..., Array]
    variables: Any
    inputs: Sequence[jax.ShapeDtypeStruct]


def write_programs(path: Path, programs: Mapping[str, Program], about: Mapping[str, Any]) -> None:
    """Write networks and all that their answers depend on, whole or not at all.

    Args:
      path: ends with .npz.
      programs: by name.
      about: what JSON can hold.
    """
    arrays: dict[str, NDArray] = {"about": np.array(json.dumps(json_io.plain(about)))}
    for name, program in programs.items():
        weights, exported = lowered(program)
        arrays[f"{name}/program"] = np.frombuffer(exported.serialize(), np.uint8)
        arrays |= {f"{name}/weights/{key}": value for key, value in weights.items()}
    with atomic.aside(path) as temporary:
        np.savez(temporary, **arrays)  # type: ignore[arg-type]


def lowered(program: Program) -> tuple[dict[str, NDArray], export.Exported]:
    """Weights by name, such as "params/head/kernel", and the program that takes them so."""
    leaves, tree = jax.tree_util.tree_flatten_with_path(program.variables)
    weights = {
        jax.tree_util.keystr(path, simple=True, separator="/"): np.asarray(leaf)
        for path, leaf in leaves
    }
    names = list(weights)

    def call(weights: Mapping[str, Array], *arrays: Array) -> Array:
        # A dict is given back in the order of its keys; the tree has its own.
        return program.ask(jax.tree.unflatten(tree, [weights[name] for name in names]), *arrays)

    return weights, export.export(jax.jit(call), platforms=PLATFORMS)(weights, *program.inputs)
