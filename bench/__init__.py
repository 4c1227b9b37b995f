"""Measurements: one question a file in ``questions``, one system a file in ``systems``."""
