"""Synthetic patients with known truth. Host room.

- `ct`: `phantom.make` paints a patient. `patient` is its frame, size and bend; `trunk`, `organs`,
  `gut`, `vessels`, `pancreas`, `tumor` and `nodes` are strokes: a solid of `shapes` filled
  with a `tissue`; `painting` blends strokes into voxels, `cohort` writes nnU-Net raw.
- `ultrasound`: `phantom` images a patient with an endoscope's array. `anatomy` is what there is,
  `tissue` paints it onto the lines, `beam` is the physics; `cohort` and `dicom` write the files.
- `dicom`: CT phantoms as DICOM studies: `series` tidy ones, `cohort` as messy as hospitals export
  them.
"""
