"""Which lymph nodes are metastatic: every node by itself (Sec. III-A, stage 2)."""
