"""`lamobench report`: every finished run on one self-contained page.

`contents` orders what is shown, `charts` draws it with the primitives of `svg`, `strips` plays and pictures episodes,
and `page` fills the templates beside it.
"""
