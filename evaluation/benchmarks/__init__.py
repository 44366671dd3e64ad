"""Benchmarks: folders of questions named by their hash, where they come from, and their pages."""
