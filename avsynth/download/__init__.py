"""Downloads of real data; the only part of the library that uses the network.

An `Item` is one file to download. It comes over HTTP, out of a local or remote archive, as a clip
cut out of a video, or from a local file. The `Ledger` holds one row with the outcome of each item.
`SOURCES` in ``requirements.py`` lists the items that a project needs.
"""
