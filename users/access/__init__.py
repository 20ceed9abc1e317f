"""Signing in, sessions, passwords, and who may change whom."""
