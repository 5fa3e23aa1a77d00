"""FEE-DL: from a patient's raw DICOM folder to a diagnosis (Si et al., Theranostics 2021). Not built yet."""
