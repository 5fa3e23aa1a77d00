"""EUSDAF: pancreatic cancer in endoscopic ultrasound with DAF-Net.

Seo et al., Semantic Segmentation of Pancreatic Cancer in Endoscopic Ultrasound Images Using Deep
Learning Approach, Cancers 2022.
"""
