"""S4C: segmentation for classification of pancreatic tumors in CT.

PDAC: Zhu et al., Multi-Scale Coarse-to-Fine Segmentation for Screening Pancreatic Ductal
Adenocarcinoma, MICCAI 2019.
"""
