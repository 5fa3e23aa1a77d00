"""Files in and out: NIfTI, DICOM series, DICOM-SEG. Host room."""
