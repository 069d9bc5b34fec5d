"""What the command lines share: errors as one line, Ctrl-C, compiled programs kept."""
