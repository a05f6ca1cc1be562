"""Figures of a period's usage: one file a family of figures. ``usage/profile.py`` puts them together."""
