"""Measures the speed of smsmail against its goals (goals.py). `make bench` prints every goal with its value, and
README.md here says how each one is measured. Nothing here is a test, or fails for being slow.
"""
