"""Names for the values that travel through the device rooms."""

from collections.abc import Mapping
from typing import Any

import jax
from jaxtyping import Array, Float

Key = jax.Array
"""A typed PRNG key, `jax.random.key(seed)`."""

Params = Mapping[str, Any]
"""Trainable arrays, nested by layer name."""

ModelState = Mapping[str, Any]
"""What a model carries besides parameters: `{"batch_stats": …}`, or `{}`."""

Variables = Mapping[str, Any]
"""`{"params": Params, **ModelState}`, as a model's `init` returns it."""

Batch = Mapping[str, Any]
"""Arrays with a leading batch axis `n`, and `_mask` (n,) where a batch is padded."""

Scalar = Float[Array, ""]
Metrics = Mapping[str, Scalar]
"""Named scalars of one step."""
