"""Measures how fast the pipeline is, compared with the plain way and with the bare database in one run on one
machine, and how long queries about a million people take. `make bench` prints tables; nothing here is a test
or fails for being slow.
"""
