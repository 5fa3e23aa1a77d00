"""Names of the 1,688 features of a phase, in PyRadiomics's order.

107 of the image itself and 93, all but the shape's, of each of the 17 images derived from it. A
Laplacian of Gaussian, which has no default width, derives none.
"""

from collections.abc import Sequence

_FEATURES = {
    "shape": """Elongation Flatness LeastAxisLength MajorAxisLength Maximum2DDiameterColumn
        Maximum2DDiameterRow Maximum2DDiameterSlice Maximum3DDiameter MeshVolume MinorAxisLength
        Sphericity SurfaceArea SurfaceVolumeRatio VoxelVolume""",
    "firstorder": """10Percentile 90Percentile Energy Entropy InterquartileRange Kurtosis Maximum
        MeanAbsoluteDeviation Mean Median Minimum Range RobustMeanAbsoluteDeviation
        RootMeanSquared Skewness TotalEnergy Uniformity Variance""",
    "glcm": """Autocorrelation ClusterProminence ClusterShade ClusterTendency Contrast Correlation
        DifferenceAverage DifferenceEntropy DifferenceVariance Id Idm Idmn Idn Imc1 Imc2
        InverseVariance JointAverage JointEnergy JointEntropy MCC MaximumProbability SumAverage
        SumEntropy SumSquares""",
    "gldm": """DependenceEntropy DependenceNonUniformity DependenceNonUniformityNormalized
        DependenceVariance GrayLevelNonUniformity GrayLevelVariance HighGrayLevelEmphasis
        LargeDependenceEmphasis LargeDependenceHighGrayLevelEmphasis
        LargeDependenceLowGrayLevelEmphasis LowGrayLevelEmphasis SmallDependenceEmphasis
        SmallDependenceHighGrayLevelEmphasis SmallDependenceLowGrayLevelEmphasis""",
    "glrlm": """GrayLevelNonUniformity GrayLevelNonUniformityNormalized GrayLevelVariance
        HighGrayLevelRunEmphasis LongRunEmphasis LongRunHighGrayLevelEmphasis
        LongRunLowGrayLevelEmphasis LowGrayLevelRunEmphasis RunEntropy RunLengthNonUniformity
        RunLengthNonUniformityNormalized RunPercentage RunVariance ShortRunEmphasis
        ShortRunHighGrayLevelEmphasis ShortRunLowGrayLevelEmphasis""",
    "glszm": """GrayLevelNonUniformity GrayLevelNonUniformityNormalized GrayLevelVariance
        HighGrayLevelZoneEmphasis LargeAreaEmphasis LargeAreaHighGrayLevelEmphasis
        LargeAreaLowGrayLevelEmphasis LowGrayLevelZoneEmphasis SizeZoneNonUniformity
        SizeZoneNonUniformityNormalized SmallAreaEmphasis SmallAreaHighGrayLevelEmphasis
        SmallAreaLowGrayLevelEmphasis ZoneEntropy ZonePercentage ZoneVariance""",
    "ngtdm": "Busyness Coarseness Complexity Contrast Strength",
}
"""Names of each class, in PyRadiomics's order."""


def _of_image(image: str) -> list[str]:
    return [
        f"{image}_{class_}_{name}"
        for class_, names in _FEATURES.items()
        for name in names.split()
        if class_ != "shape" or image == "original"
    ]


_IMAGES = """original exponential gradient lbp-2D lbp-3D-m1 lbp-3D-m2 lbp-3D-k logarithm square
squareroot wavelet-LLH wavelet-LHL wavelet-LHH wavelet-HLL wavelet-HLH wavelet-HHL wavelet-HHH
wavelet-LLL""".split()

FEATURE_NAMES: tuple[str, ...] = tuple(name for image in _IMAGES for name in _of_image(image))
"""Of one phase: "wavelet-LLH_glcm_Contrast"."""


def feature_names(phases: Sequence[str]) -> tuple[str, ...]:
    """Names of a case's features, phase after phase: "venous_original_shape_Sphericity"."""
    return tuple(f"{phase}_{name}" for phase in phases for name in FEATURE_NAMES)
