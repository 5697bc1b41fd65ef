"""From files to results and back to files: what the command and the Python API share, without a screen."""
