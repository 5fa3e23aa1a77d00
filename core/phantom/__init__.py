"""Synthetic patients with known truth. Host room.

`ct.make` paints a patient. `patient` is its frame, size and bend; `trunk`, `organs`, `gut`,
`vessels`, `pancreas`, `ducts`, `tumor` and `nodes` are strokes: a solid of `shapes` filled with a
`tissue`. `canvas` blends strokes into voxels; `cohort`, `dicom_series` and `dicom_cohort` write the
files.

`ultrasound.make` images a patient with an endoscope's array: `ultrasound_anatomy` is what there is,
`ultrasound_tissue` paints it onto the lines, `ultrasound_beam` is the physics, `ultrasound_cohort`
and `ultrasound_dicom` write the files.
"""
