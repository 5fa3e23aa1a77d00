"""Screening of patients' folders: which series a system looks at, and why no others. Host room."""
