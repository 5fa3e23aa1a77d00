"""Tables, figures, self-contained HTML and the run manifest. Host room."""
