import copy

import pytest

from core.nn.unet import UNetPlan
from core.nnunet import plans_v2
from core.nnunet.plans import Channel
from core.preprocess.fingerprint import Intensities
from tests.core.nnunet import models
from tests.core.nnunet.models import CONFIGURATION, DATASET, PLANS, write_descriptions
from tests.refusals import refused

SMALL = UNetPlan(
    features=(4, 6),
    strides=((1, 1, 1), (1, 2, 2)),
    kernels=((1, 3, 3), (3, 3, 3)),
    encoder="plain",
    encoder_units=(2, 1),
    decoder_units=(1,),
    transposed_bias=True,
)


def changed(plans, where, value):
    """Plans with one entry replaced, or taken out where the value is None."""
    plans = copy.deepcopy(plans)
    *above, last = where.split(".")
    node = plans
    for key in above:
        node = node[key]
    if value is None:
        del node[last]
    else:
        node[last] = value
    return plans


def of_fullres(where, value):
    return changed(PLANS, f"configurations.{CONFIGURATION}.{where}", value)


def of_network(where, value):
    return of_fullres(f"architecture.arch_kwargs.{where}", value)


def read(folder, plans=PLANS, dataset=DATASET, configuration=CONFIGURATION):
    return plans_v2.read(write_descriptions(folder, plans, dataset), configuration)


def test_plans_tell_what_the_network_wants_and_gives(tmp_path):
    plans = read(tmp_path)
    assert plans.version == 2
    assert plans.network == SMALL
    assert plans.patch == (8, 8, 8)
    assert plans.spacing_mm == (2.0, 1.0, 1.0)
    assert plans.channels == (Channel("CT", "CT", False, Intensities(-50.0, 150.0, 40.0, 60.0)),)
    assert plans.labels == {"background": 0, "pancreas": 1, "tumor": 2}
    assert plans.transpose == (0, 1, 2)
    assert not plans.reorients
    assert plans.ignore_label is None


def test_residual_networks_count_blocks(tmp_path):
    kwargs = {k: v for k, v in models.ARCH_KWARGS.items() if k != "n_conv_per_stage"}
    name = "dynamic_network_architectures.architectures.unet.ResidualEncoderUNet"
    kwargs |= {"n_blocks_per_stage": [1, 3]}
    architecture = {"network_class_name": name, "arch_kwargs": kwargs}
    network = read(tmp_path, of_fullres("architecture", architecture)).network
    assert (network.encoder, network.encoder_units) == ("residual", (1, 3))


def test_the_decoder_is_counted_from_the_lowest_resolution(tmp_path):
    kwargs = models.ARCH_KWARGS | {
        "features_per_stage": [4, 6, 8],
        "strides": [1, 2, [1, 2, 2]],
        "kernel_sizes": 3,
        "n_conv_per_stage": 2,
        "n_conv_per_stage_decoder": [3, 1],
    }
    network = read(tmp_path, of_fullres("architecture.arch_kwargs", kwargs)).network
    assert network.decoder_units == (1, 3)
    assert network.encoder_units == (2, 2, 2)
    assert network.strides == ((1, 1, 1), (2, 2, 2), (1, 2, 2))
    assert network.kernels == ((3, 3, 3),) * 3


def test_old_plans_describe_the_same_network(tmp_path):
    fullres = {k: v for k, v in models.FULLRES.items() if k != "architecture"}
    fullres |= {
        "UNet_class_name": "PlainConvUNet",
        "UNet_base_num_features": 4,
        "unet_max_num_features": 6,
        "n_conv_per_stage_encoder": [2, 1],
        "n_conv_per_stage_decoder": [1],
        "pool_op_kernel_sizes": models.STRIDES,
        "conv_kernel_sizes": models.KERNELS,
        "num_pool_per_axis": [0, 1, 1],
    }
    old = changed(PLANS, f"configurations.{CONFIGURATION}", fullres)
    old["foreground_intensity_properties_by_modality"] = old.pop(
        "foreground_intensity_properties_per_channel"
    )
    assert read(tmp_path / "old", old) == read(tmp_path / "new")


def test_configurations_inherit(tmp_path):
    plans = copy.deepcopy(PLANS)
    plans["configurations"]["wide"] = {"inherits_from": "larger", "spacing": [3, 1, 1]}
    plans["configurations"]["larger"] = {"inherits_from": CONFIGURATION, "patch_size": [16, 8, 8]}
    wide = read(tmp_path, plans, configuration="wide")
    assert (wide.patch, wide.spacing_mm, wide.network) == ((16, 8, 8), (3.0, 1.0, 1.0), SMALL)
    plans["configurations"][CONFIGURATION]["inherits_from"] = "wide"
    with refused(tmp_path / "plans.json", "wide → larger → 3d_fullres → wide"):
        read(tmp_path, plans, configuration="wide")


def test_normalizations_are_known_by_name_and_only_z_scores_use_the_mask(tmp_path):
    plans = copy.deepcopy(PLANS)
    schemes = list(plans_v2.SCHEMES)
    plans["configurations"][CONFIGURATION] |= {
        "normalization_schemes": schemes,
        "use_mask_for_norm": [True] * len(schemes),
    }
    names = {str(c): f"channel {c}" for c in range(len(schemes))}
    channels = read(tmp_path, plans, DATASET | {"channel_names": names}).channels
    assert [channel.scheme for channel in channels] == ["CT", "z-score", "rescale", "none"]
    assert [channel.masked for channel in channels] == [False, True, False, False]


def test_the_ignore_label_is_never_predicted(tmp_path):
    labels = {"background": 0, "pancreas": [1], "ignore": 2}
    plans = read(tmp_path, dataset=DATASET | {"labels": labels})
    assert (plans.labels, plans.ignore_label) == ({"background": 0, "pancreas": 1}, 2)


def test_readers_that_turn_images_are_told_from_those_that_do_not(tmp_path):
    assert read(tmp_path, changed(PLANS, "image_reader_writer", "NibabelIOWithReorient")).reorients


@pytest.mark.parametrize(
    ("plans", "named", "hint"),
    [
        (of_fullres("patch_size", [64, 64]), "2 dimensions", "3d_fullres"),
        (of_fullres("previous_stage", "3d_lowres"), "cascade", "3d_fullres"),
        (of_fullres("preprocessor_name", "MyPreprocessor"), "MyPreprocessor", "3d_fullres"),
        (of_fullres("resampling_fn_data", "resample_torch_fornnunet"), "torch", "3d_fullres"),
        (of_fullres("resampling_fn_probabilities_kwargs.order", 3), "'order': 3", "3d_fullres"),
        (changed(PLANS, "image_reader_writer", "Tiff3DIO"), "Tiff3DIO", "3d_fullres"),
        (of_fullres("architecture.network_class_name", "a.b.Primus"), "Primus", "3d_fullres"),
        (of_network("nonlin", "torch.nn.ReLU"), "ReLU", "3d_fullres"),
        (of_network("norm_op", "torch.nn.GroupNorm"), "GroupNorm", "3d_fullres"),
        (of_network("norm_op_kwargs.eps", 1e-3), "eps 0.001", "3d_fullres"),
        (of_network("nonlin_kwargs.negative_slope", 0.2), "slope 0.2", "3d_fullres"),
        (of_network("nonlin_first", True), "nonlin_first", "3d_fullres"),
        (of_network("strides", [[2, 2, 2], [2, 2, 2]]), "(2, 2, 2)", "3d_fullres"),
        (of_fullres("normalization_schemes", ["Mine"]), "Mine", "CTNormalization"),
        (of_fullres("patch_size", [8, 7, 8]), "(8, 7, 8)", ""),
        (of_fullres("spacing", None), "lacks 'spacing'", ""),
        (of_fullres("use_mask_for_norm", []), "not understood", ""),
        (changed(PLANS, "transpose_forward", [0, 0, 1]), "(0, 0, 1)", ""),
        (changed(PLANS, "configurations", None), "lacks 'configurations'", ""),
    ],
)
def test_what_is_not_run_here_is_refused_by_name(plans, named, hint, tmp_path):
    with refused(tmp_path / "plans.json", named, hint=hint):
        read(tmp_path, plans)


@pytest.mark.parametrize(
    ("labels", "named"),
    [
        ({"background": 0, "organ": [1, 2], "tumor": 2}, "organ"),
        ({"background": 0, "organ": 2}, "'organ': 2"),
        (None, "names to ids"),
    ],
)
def test_labels_that_are_no_plain_classes_are_refused(labels, named, tmp_path):
    with pytest.raises(Exception, match=named.replace("(", r"\(")) as refusal:
        read(tmp_path, dataset=DATASET | {"labels": labels})
    assert type(refusal.value).__name__ == "InputError"


def test_an_unknown_configuration_and_a_missing_file_are_named(tmp_path):
    with refused(tmp_path / "plans.json", "3d_lowres", hint="3d_fullres"):
        read(tmp_path, configuration="3d_lowres")
    (tmp_path / "dataset.json").unlink()
    with refused(tmp_path / "dataset.json", "no such file"):
        plans_v2.read(tmp_path, CONFIGURATION)
