"""A night that explains itself: JSON logs and receipts become a model of runs, and that one page.

Pure: lines go in, HTML comes out. Files, the journal and options are the command line's.
"""
