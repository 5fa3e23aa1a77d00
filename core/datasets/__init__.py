"""One small file per public layout, all giving the same Case records. Host room."""
