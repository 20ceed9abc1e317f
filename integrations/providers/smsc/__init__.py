"""SMSC: requests, answers, codes and its history."""
