"""Simulated reviews: how often each rule for a verdict is right."""
