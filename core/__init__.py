"""The shared house of the four systems, room by room in the order the data flows.

`io` → `volume` → `datasets` → `preprocess` → `data` → `augment` → `nn` → `losses` → `train` →
`infer` → `postprocess` → `metrics` → `report`; `phantom` makes synthetic input, `cli` reads the
command line. Rooms import downward only and never a paper package (tests/test_architecture.py).
"""
