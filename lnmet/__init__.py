"""LNMet: lymph-node metastasis of pancreatic cancer (Zheng et al. 2022). Not built yet."""
