"""Texts, links and tokens. Pure: no database and no clock."""
