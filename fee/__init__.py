"""FEE-DL: from raw DICOM folder to diagnosis (Si et al., Theranostics 2021). Not built yet."""
