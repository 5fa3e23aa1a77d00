"""Networks that nnU-Net 1.7 or 2 trained, run here unchanged from their folders."""
