"""Initializers that the papers and their frameworks used; each says what it draws from."""

from flax.linen import initializers

he_normal_fan_in = initializers.variance_scaling(2.0, "fan_in", "normal")
"""N(0, 2 / fan_in); fan_in = kernel volume × input channels. Source: He et al. 2015, Eq. 10."""

score_normal = initializers.normal(stddev=0.01)
"""N(0, 0.01²), for layers that put out logits."""
