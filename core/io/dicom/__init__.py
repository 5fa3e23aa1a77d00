"""DICOM series in, DICOM-SEG out: scan → series → grid → pixels."""
