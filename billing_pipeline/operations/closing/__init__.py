"""Closing a period: from usage to documents for every customer who is dirty, one chain in one room."""
