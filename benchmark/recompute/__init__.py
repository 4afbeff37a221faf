"""Committed tables made again from their raw evaluations, by code that shares only file formats with the harness."""
