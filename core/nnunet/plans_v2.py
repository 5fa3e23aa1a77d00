"""Plans of nnU-Net 2: `plans.json` and `dataset.json` of a model folder, of all its releases."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.datasets.case import channel_names, label_ids
from core.errors import InputError
from core.json_io import read_json
from core.nn.unet import Axes, UNetPlan
from core.nnunet.plans import (
    Channel,
    Plans,
    axes,
    intensities,
    require,
    require_three_axes,
    scheme,
    spacing,
    understood,
)

SCHEMES = {
    "CTNormalization": "CT",
    "ZScoreNormalization": "z-score",
    "RescaleTo01Normalization": "rescale",
    "NoNormalization": "none",
}
READERS = {
    "SimpleITKIO": False,
    "NibabelIO": False,
    "SimpleITKIOWithReorient": True,
    "NibabelIOWithReorient": True,
}
"""Class that reads images → whether it turns them to R, A, S."""
ENCODERS = {"PlainConvUNet": "plain", "ResidualEncoderUNet": "residual"}
UNITS = {"plain": "n_conv_per_stage", "residual": "n_blocks_per_stage"}
RESAMPLING = {"data": 3, "probabilities": 1}
"""What is resampled → order of the splines."""
SHAPE = {"n_stages", "features_per_stage", "kernel_sizes", "strides", "n_conv_per_stage_decoder"}
ALIKE = {"conv_op", "conv_bias", "deep_supervision", "dropout_op", "dropout_op_kwargs"}
"""Arguments of a network that its weights tell of, or that only its training knew."""


def read(folder: Path, configuration: str) -> Plans:
    """Plans of one configuration.

    Args:
      folder: of a trained model.
      configuration: "3d_fullres", ….

    Raises:
      InputError: a file is missing, or the model is none that can be run.
    """
    path = folder / "plans.json"
    plans, dataset = read_json(path), read_json(folder / "dataset.json")
    with understood(path):
        cfg = _configuration(plans["configurations"], configuration, path)
        require_three_axes(cfg["patch_size"], path)
        require(not cfg.get("previous_stage"), f"{configuration} is the end of a cascade", path)
        _require_known_steps(cfg, path)
        reader = plans["image_reader_writer"]
        require(reader in READERS, f"images are read by {reader}, not from NIfTI", path)
        labels, ignore_label = _labels(dataset, folder / "dataset.json")
        return Plans(
            version=2,
            network=_network(cfg, path),
            patch=axes(cfg["patch_size"]),
            spacing_mm=spacing(cfg["spacing"]),
            channels=_channels(plans, cfg, dataset, path),
            labels=labels,
            transpose=axes(plans["transpose_forward"]),
            reorients=READERS[reader],
            ignore_label=ignore_label,
        )


def _configuration(
    configurations: Mapping[str, Any], name: str, path: Path, heirs: tuple[str, ...] = ()
) -> dict[str, Any]:
    """A configuration with what it inherits."""
    if name not in configurations:
        known = ", ".join(configurations)
        raise InputError(f"has no configuration {name!r}", path=path, hint=f"it has {known}")
    if name in heirs:
        raise ValueError(f"configurations inherit in a circle: {' → '.join((*heirs, name))}")
    own = configurations[name]
    if "inherits_from" not in own:
        return own
    return _configuration(configurations, own["inherits_from"], path, (*heirs, name)) | own


def _require_known_steps(cfg: Mapping[str, Any], path: Path) -> None:
    preprocessor = cfg["preprocessor_name"]
    require(preprocessor == "DefaultPreprocessor", f"is prepared by {preprocessor}", path)
    for what, order in RESAMPLING.items():
        function, kwargs = (cfg[f"resampling_fn_{what}{end}"] for end in ("", "_kwargs"))
        known = function == "resample_data_or_seg_to_shape" and (
            kwargs["order"],
            kwargs["order_z"],
            kwargs["force_separate_z"],
        ) == (order, 0, None)
        require(known, f"resamples {what} by {function} {kwargs}", path)


def _labels(dataset: Mapping[str, Any], path: Path) -> tuple[dict[str, int], int | None]:
    """Ids of what is predicted, and of what the training ignored."""
    values = dataset.get("labels")
    if isinstance(values, dict):
        one = {name: value[0] for name, value in values.items() if _is_one(value)}
        values = values | one
    labels = label_ids(values, path)
    return labels, labels.pop("ignore", None)


def _is_one(value: object) -> bool:
    """Whether a region is of one label, so no region to nnU-Net."""
    return isinstance(value, list) and len(value) == 1


def _channels(
    plans: Mapping[str, Any], cfg: Mapping[str, Any], dataset: Mapping[str, Any], path: Path
) -> tuple[Channel, ...]:
    names = channel_names(dataset, path.with_name("dataset.json"))
    of_foreground = plans.get("foreground_intensity_properties_per_channel") or plans.get(
        "foreground_intensity_properties_by_modality", {}
    )
    steps = zip(names, cfg["normalization_schemes"], cfg["use_mask_for_norm"], strict=True)
    return tuple(
        Channel(
            name,
            ours := scheme(theirs, SCHEMES, path),
            # Others know the mask and do not use it.
            bool(masked) and ours == "z-score",
            intensities(of_foreground[str(c)], "std") if ours == "CT" else None,
        )
        for c, (name, theirs, masked) in enumerate(steps)
    )


def _network(cfg: Mapping[str, Any], path: Path) -> UNetPlan:
    name, kwargs = _architecture(cfg)
    require(name in ENCODERS, f"the network is a {name}", path)
    encoder = ENCODERS[name]
    features = tuple(int(f) for f in kwargs["features_per_stage"])
    num = len(features)
    _require_known_layers(kwargs, UNITS[encoder], path)
    strides = _three_each(kwargs["strides"], num)
    require(strides[0] == (1, 1, 1), f"the first stride is {strides[0]}", path)
    return UNetPlan(
        features=features,
        strides=strides,
        kernels=_three_each(kwargs["kernel_sizes"], num),
        encoder=encoder,
        encoder_units=_each(kwargs[UNITS[encoder]], num),
        # They count from the lowest resolution.
        decoder_units=_each(kwargs["n_conv_per_stage_decoder"], num - 1)[::-1],
        transposed_bias=True,
    )


def _architecture(cfg: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Class of the network and its arguments, which old plans have in other places."""
    if "architecture" in cfg:
        name = cfg["architecture"]["network_class_name"]
        return name.rpartition(".")[2], cfg["architecture"]["arch_kwargs"]
    name, units = cfg["UNet_class_name"], cfg["n_conv_per_stage_encoder"]
    first, most = cfg["UNet_base_num_features"], cfg["unet_max_num_features"]
    return name, {
        "features_per_stage": [min(first * 2**s, most) for s in range(len(units))],
        "kernel_sizes": cfg["conv_kernel_sizes"],
        "strides": cfg["pool_op_kernel_sizes"],
        "n_conv_per_stage_decoder": cfg["n_conv_per_stage_decoder"],
        "norm_op": "InstanceNorm3d",
        "nonlin": "LeakyReLU",
        UNITS.get(ENCODERS.get(name, ""), ""): units,
    }


def _require_known_layers(kwargs: Mapping[str, Any], units: str, path: Path) -> None:
    """Refuse what would change the values of a network and leave its weights' names alone."""
    expected = {"norm_op": "InstanceNorm3d", "nonlin": "LeakyReLU"}
    for name, value in expected.items():
        found = str(kwargs[name]).rpartition(".")[2]
        require(found == value, f"the network has {found} as its {name}", path)
    details = [
        ("norm_op_kwargs", "eps", 1e-5),
        ("nonlin_kwargs", "negative_slope", 0.01),
    ]
    for name, key, value in details:
        found = (kwargs.get(name) or {}).get(key, value)
        require(found == value, f"the network has {key} {found}", path)
    known = SHAPE | ALIKE | {units, "norm_op", "nonlin", "norm_op_kwargs", "nonlin_kwargs"}
    strange = {name: value for name, value in kwargs.items() if name not in known and value}
    require(not strange, f"the network has {strange}", path)


def _each(value: Any, num: int) -> tuple[int, ...]:
    """One number of each stage, of which all may be given as one."""
    values = (value,) * num if isinstance(value, int) else value
    return tuple(int(v) for v in values)


def _three_each(value: Any, num: int) -> tuple[Axes, ...]:
    values = (value,) * num if isinstance(value, int) else value
    return tuple(axes((v,) * 3 if isinstance(v, int) else v) for v in values)
