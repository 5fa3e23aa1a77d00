"""Synthetic patients with known truth. Host room.

`ct.make` paints a patient. `patient` is its frame, size and bend; `trunk`, `organs`, `gut`,
`vessels`, `pancreas`, `ducts`, `tumor` and `nodes` are strokes: a solid of `shapes` filled with a
`tissue`. `canvas` blends strokes into voxels; `cohort` and `dicom_series` write the files.
"""
