"""LNMet: lymph-node metastasis of pancreatic cancer in two-phase CT.

Zheng et al., A deep local attention network for pre-operative lymph node metastasis prediction in
pancreatic cancer via multiphase CT imaging.
"""
