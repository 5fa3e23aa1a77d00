"""The radiomics baselines: hand-made features of the tumor, selected and weighed (Sec. IV-E)."""
