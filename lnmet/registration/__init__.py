"""Registration of the arterial to the venous phase: DEEDS and ConvexAdam."""
