"""The most memory that a case of 512 × 512 × 400 takes in inference, each in a process of its own.

On two cores windows lie side by side, where the papers' overlap: as many arrays, fewer hours.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import jax
import numpy as np

from benchmarks import harness
from benchmarks.provenance import provenance
from benchmarks.suites import Item

SHAPE = (400, 512, 512)
NUM_PICTURES = 400
Predict = Callable[[], object]


def items() -> list[Item]:
    """A case of each paper."""
    return [
        Item(title, "memory", partial(_measure, title, paper), groups)
        for title, (paper, groups) in CASES.items()
    ]


def _measure(title: str, paper: Callable[[], Predict], repeats: int) -> list[harness.Row]:
    return [{"name": title, **harness.in_a_process(_peak, paper)}]


def _peak(paper: Callable[[], Predict]) -> harness.Row:
    """Bytes at their highest, of the whole process and of the accelerator."""
    predict = paper()
    before = harness.status_bytes("VmRSS")
    predict()
    stats = jax.devices()[0].memory_stats() or {}
    peak = harness.status_bytes("VmHWM")
    row = {"host_bytes_before": before, "host_peak_bytes": peak}
    print(f"{paper.__name__[1:]}: {peak / 2**30:.2f} GiB, {before / 2**30:.2f} before", flush=True)
    return row | {"device_peak_bytes": stats.get("peak_bytes_in_use"), **provenance()}


def _s4c() -> Predict:
    from core import sharding
    from s4c import model
    from s4c.networks import sliding
    from s4c.recipes import SEGMENTATION

    cfg = SEGMENTATION["pdac-64"]
    if _on_cpu():
        cfg = replace(cfg, infer=replace(cfg.infer, stride=cfg.data.patch))
    shape = (1, *(cfg.data.patch,) * 3, 1)
    weights = harness.drawn(lambda key: model.init(cfg.model, key, shape))
    image = np.random.default_rng(0).standard_normal(SHAPE, np.float32)
    return partial(sliding(cfg, *weights, sharding.mesh()), image)


def _lnmet() -> Predict:
    from core import sharding
    from core.preprocess.fingerprint import Intensities
    from lnmet import model
    from lnmet.config import RECIPES
    from lnmet.labels import CLASSES
    from lnmet.networks import sliding

    cfg = RECIPES["nodes"]
    if _on_cpu():
        cfg = replace(cfg, infer=replace(cfg.infer, overlap=0.0, mirrored=False))
    phases, num_classes = len(cfg.data.phases), len(CLASSES[cfg.data.target])
    init = partial(
        model.init,
        cfg.model,
        shape=(1, *cfg.data.patch, phases),
        num_classes=num_classes,
        intensities=[Intensities(-100.0, 300.0, 80.0, 60.0)] * phases,
    )
    image = np.random.default_rng(0).integers(-100, 300, (*SHAPE, phases), np.int16)
    attention = np.ones(SHAPE, np.float16)
    return partial(sliding(cfg, *harness.drawn(init), sharding.mesh()), image, attention)


def _fee() -> Predict:
    from core import sharding
    from fee import model
    from fee.networks import TASKS, Bundle, network
    from fee.predict_series import Stopwatch, predict_series
    from fee.recipes import RECIPES
    from fee.saliency import explainer

    shape = (1, *SHAPE[1:], 1)
    # Every slice goes through all three networks.
    cfgs = {t: replace(RECIPES[t], infer=replace(RECIPES[t].infer, threshold=0.0)) for t in TASKS}
    weights = {
        task: harness.drawn(partial(model.init, cfg.model, shape=shape))
        for task, cfg in cfgs.items()
    }
    bundle = Bundle(
        cfgs,
        *(network(cfgs[task], *weights[task], sharding.mesh()) for task in TASKS),
        explain=explainer(cfgs["diagnose"].model, *weights["diagnose"]),
    )
    image = np.random.default_rng(0).integers(0, 256, SHAPE, np.uint8)
    return partial(predict_series, image, bundle, Stopwatch())


def _eusdaf() -> Predict:
    from core import sharding
    from eusdaf import model
    from eusdaf.networks import network
    from eusdaf.recipes import RECIPES

    cfg = RECIPES["daf"]
    shape = (NUM_PICTURES, cfg.prepare.size, cfg.prepare.size)
    weights = harness.drawn(partial(model.init, cfg.model, shape=(1, *shape[1:], 3)))
    pictures = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    return partial(network(cfg, *weights, sharding.mesh()), pictures)


def _on_cpu() -> bool:
    return jax.default_backend() == "cpu"


CASES: dict[str, tuple[Callable[[], Predict], tuple[str, ...]]] = {
    "s4c/pdac-64, 512 × 512 × 400": (_s4c, ("cpu", "gpu")),
    "lnmet/nodes, 512 × 512 × 400 in two phases": (_lnmet, ("gpu",)),
    "fee, 400 slices of 512²": (_fee, ("gpu",)),
    "eusdaf/daf, a clip of 400 pictures of 256²": (_eusdaf, ("gpu",)),
}
"""What makes them ready, and their groups: each takes two cores about three minutes."""
