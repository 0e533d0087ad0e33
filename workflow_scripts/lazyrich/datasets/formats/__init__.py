"""Readers of the file formats that datasets come in, for files that may be truncated, damaged or hostile.

Every reader raises ``DataFileError`` and nothing else for what a file holds. None unpickles or writes to disk, and none allocates
what a header claims before the bytes have arrived.
"""
