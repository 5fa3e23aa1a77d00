"""Pictures: PNG, JPEG, TIFF, BMP and video files in; masks and probability maps in and out."""
