"""Runs and policies for others."""
