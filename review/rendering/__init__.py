"""A comparison as sentences, tables, documents and pictures."""
