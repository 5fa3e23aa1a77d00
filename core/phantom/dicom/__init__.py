"""Synthetic patients as DICOM studies, tidy or as messy as hospitals export them. Host room."""
