"""How fast the pipeline is, beside the plain way and beside the bare database, in one run on one
machine. `make bench` prints the table; nothing here is a test, and nothing fails for being slow.
"""
