"""Paper: documents and reports as people read them.

``document.py`` says what stands on an invoice, ``sheet.py`` writes it in the customer's language and formats, and
``html.py`` and ``pdf.py`` set that sheet. The same facts give the same bytes: nothing here reads a clock.
"""
