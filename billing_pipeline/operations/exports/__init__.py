"""Exports of final documents: journal lines for the books, FOCUS rows for customers' own tools."""
