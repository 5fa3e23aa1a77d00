"""EUSDAF: pancreatic cancer in endoscopic ultrasound with DAF-Net (Cancers 2022)."""
