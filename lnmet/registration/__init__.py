"""Registration of the arterial to the venous phase.

- A displacement field is float32 (3, d, h, w): axis 0 is (z, y, x), in voxels of the fixed (venous)
  grid. The warped moving image at voxel x is moving(x + u(x)), both on one grid.
- A method is a function (fixed, moving, cfg) → field: `convexadam.register`.
- `fields` is what one does with a field: warp, compose, invert, resize; `quality` judges it;
  `volumes` warps scans and label maps that come on other grids.
- `phases.register_phases` takes two scans as they come, of any grid, and gives the arterial one on
  the venous grid; `common` brings them onto one of the `grids` in between.
"""
