"""Twilio: requests, answers, codes and its list of messages."""
