"""What all command lines share.

launch      shared flags; errors as one line with an exit code
paths       flags that are paths: `~` is the user's home
interrupts  Ctrl-C during imports
compiled    the persistent cache of compiled programs
commands    the console scripts c2g-predict and c2g-web
"""
