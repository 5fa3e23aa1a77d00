"""Synthetic patients with known truth. Host room.

`ct.make` paints a patient: `patient` (frame, size, bend) → organs (`trunk`, `viscera`, `vessels`,
`pancreas`, `tumor`, `ducts`, `nodes`) as strokes of `shapes` filled with `tissue` → `canvas`.
`cohort` and `dicom_series` write what it makes.
"""
