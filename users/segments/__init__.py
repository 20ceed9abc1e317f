"""Segments and groups: rules over people, and how many they find."""
