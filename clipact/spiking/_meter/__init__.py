"""Spikes counted while a network runs."""
