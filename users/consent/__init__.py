"""Consent: opt-outs, replies, confirmed phones, and whose a phone is."""
