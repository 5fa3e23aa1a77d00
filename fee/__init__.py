"""FEE-DL: from a patient's raw DICOM folder to a diagnosis.

Si et al., Fully end-to-end deep-learning-based diagnosis of pancreatic tumors, Theranostics 2021.
"""
