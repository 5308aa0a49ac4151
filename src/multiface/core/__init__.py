"""Errors, argument checks, lazy optional imports and atomic files: what every other room may use."""
