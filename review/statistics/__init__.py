"""Tests and intervals on numbers and arrays; nothing here reads a file."""
