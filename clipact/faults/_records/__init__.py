"""Faults as data: tables of them, files, and lists that are injected again."""
