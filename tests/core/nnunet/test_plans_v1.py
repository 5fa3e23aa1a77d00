import json

import numpy as np
import pytest

from core.nn.unet import UNetPlan
from core.nnunet import plans_v1
from core.nnunet.plans import Channel
from core.preprocess.fingerprint import Intensities
from tests.core.nnunet.models import DATASET, PLANS_V1, STAGE_V1, info_v1
from tests.refusals import refused


@pytest.fixture
def path(tmp_path):
    return tmp_path / "fold_0" / "model_final_checkpoint.model.pkl"


def staged(**changes):
    return PLANS_V1 | {"plans_per_stage": {0: STAGE_V1 | changes}}


def test_plans_tell_what_the_network_wants_and_gives(path):
    plans = plans_v1.read(info_v1(), path)
    assert plans.version == 1
    assert plans.network == UNetPlan(
        features=(4, 8),
        strides=((1, 1, 1), (1, 2, 2)),
        kernels=((1, 3, 3), (3, 3, 3)),
        encoder_units=(2, 2),
        decoder_units=(2,),
        # Its decoder has the kernels of the stage below.
        decoder_kernels=((3, 3, 3),),
    )
    assert (plans.patch, plans.spacing_mm) == ((8, 8, 8), (2.0, 1.0, 1.0))
    assert plans.channels == (Channel("CT", "CT", False, Intensities(-50.0, 150.0, 40.0, 60.0)),)
    assert plans.labels == {"background": 0, "1": 1, "2": 2}


def test_features_double_up_to_320(path):
    five = staged(
        patch_size=[64, 64, 64],
        pool_op_kernel_sizes=[[2, 2, 2]] * 5,
        conv_kernel_sizes=[[3, 3, 3]] * 6,
    )
    network = plans_v1.read(info_v1(five | {"base_num_features": 32}), path).network
    assert network == UNetPlan(
        strides=((1, 1, 1), *((2, 2, 2),) * 5), decoder_kernels=((3, 3, 3),) * 5
    )


def test_old_plans_only_count_their_poolings(path):
    stage = {k: v for k, v in STAGE_V1.items() if "kernel_sizes" not in k}
    stage |= {"num_pool_per_axis": [1, 3, 2], "patch_size": [8, 8, 8]}
    network = plans_v1.read(info_v1(PLANS_V1 | {"plans_per_stage": {0: stage}}), path).network
    assert network.strides == ((1, 1, 1), (1, 2, 1), (1, 2, 2), (2, 2, 2))
    assert network.kernels == ((3, 3, 3),) * 4


@pytest.mark.parametrize(("stage", "spacing_mm"), [(0, 4.0), (1, 2.0), (None, 2.0)])
def test_the_stage_is_the_one_that_was_trained(stage, spacing_mm, path):
    coarse = STAGE_V1 | {"current_spacing": np.array([4.0, 2.0, 2.0])}
    plans = PLANS_V1 | {"plans_per_stage": {0: coarse, 1: STAGE_V1}}
    assert plans_v1.read(info_v1(plans, stage=stage), path).spacing_mm[0] == spacing_mm


def test_the_rank_of_a_parallel_training_is_no_stage(path):
    info = info_v1(trainer="nnUNetTrainerV2_DDP")
    info["init"] = (*info["init"][:2], 3, *info["init"][2:])
    assert plans_v1.read(info, path).spacing_mm == (2.0, 1.0, 1.0)


def test_names_of_labels_come_from_the_data_set_where_it_is_there(path):
    labels = {"0": "background", "1": "pancreas", "2": "tumor"}
    described = path.parents[1] / "dataset.json"
    described.write_text(json.dumps({"labels": labels}))
    assert plans_v1.read(info_v1(), path).labels == DATASET["labels"]
    described.write_text(json.dumps({"labels": {"0": "background", "1": "pancreas"}}))
    with refused(path, "pancreas", "[0, 1, 2]"):
        plans_v1.read(info_v1(), path)


def test_other_modalities_are_z_scores_of_the_mask(path):
    plans = PLANS_V1 | {
        "modalities": {0: "MR", 1: "PET"},
        "normalization_schemes": {0: "nonCT", 1: "noNorm"},
        "use_mask_for_norm": {0: True, 1: True},
    }
    channels = plans_v1.read(info_v1(plans), path).channels
    assert channels == (Channel("MR", "z-score", True, None), Channel("PET", "none", False, None))


@pytest.mark.parametrize(
    ("trainer", "mirrored"),
    [("nnUNetTrainerV2", (0, 1, 2)), ("nnUNetTrainerV2_noMirroring", ())],
)
def test_windows_are_mirrored_as_the_training_was(trainer, mirrored):
    assert plans_v1.mirrored(info_v1(trainer=trainer)) == mirrored


@pytest.mark.parametrize(
    "trainer",
    ["V2_ResencUNet", "V2_ReLU", "V2_GN", "V2_BN", "V2CascadeFullRes", "V2BraTSRegions"],
)
def test_trainers_of_other_networks_and_tasks_are_refused(trainer, path):
    with refused(path, trainer, hint="3d_fullres"):
        plans_v1.read(info_v1(trainer=f"nnUNetTrainer{trainer}"), path)


@pytest.mark.parametrize(
    ("plans", "named", "hint"),
    [
        (staged(patch_size=[64, 64]), "2 dimensions", "3d_fullres"),
        (PLANS_V1 | {"preprocessor_name": "PreprocessorFor2D"}, "PreprocessorFor2D", "3d_fullres"),
        (PLANS_V1 | {"normalization_schemes": {0: "CT2"}}, "CT2", "nonCT"),
        (PLANS_V1 | {"segmentation_export_params": {"interpolation_order": 3}}, "3", "3d_fullres"),
        ({}, "lacks 'plans_per_stage'", ""),
    ],
)
def test_what_is_not_run_here_is_refused_by_name(plans, named, hint, path):
    with refused(path, named, hint=hint):
        plans_v1.read(info_v1(plans), path)
