"""How fast the pipeline is, beside the plain way and beside the bare database, in one run on one
machine; and how long questions about a million people take. `make bench` prints tables; nothing here
is a test, and nothing fails for being slow.
"""
