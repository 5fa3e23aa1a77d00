"""Registration of the arterial to the venous phase.

- A displacement field is float32 (3, d, h, w): axis 0 is (z, y, x), in voxels of the fixed (venous)
  grid. The warped moving image at voxel x is moving(x + u(x)), both on one grid.
- A method is a function (fixed, moving, cfg) → field: `convexadam.register`, `deeds.register`.
- `fields` is what one does with a field: warp, compose, invert, resize; `quality` judges it.
- `phases.register_phases` takes two scans as they come, of any grid, and gives the arterial one on
  the venous grid; `grids` is the common grid in between.
"""
