"""One small file per public layout, all giving the same records. Host room.

Volumes come as `case.Case` from `read.read_dataset`, images as `case.ImageCase` from
`images.read_images`. It imports nothing, so that configs know phases and labels by name without the
readers of files.
"""
