"""The only part of the library that touches the network: real data, honestly fetched.

An `Item` is one file that is wanted; a *bringer* brings it (HTTP, a member of an archive near or
far, a clip cut out of a video, a file that lies on disk already); the `Ledger` holds one row per
item saying how it went. Nothing here decides what is wanted: that is the stage's business.
"""
