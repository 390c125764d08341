"""The invisible watermark. Read in this order; each file uses only those above it.

Written:

- ``scheme``: one bit in one block of 8x8 pixels, the published way;
- ``grid``: which bit each block of a frame carries;
- ``chroma``: the U channel of a decoded frame, and changes of it put back;
- ``marker``: the marked region of a frame.

Found again:

- ``alignment``: where the grid lies in a file that was scaled, cropped or turned;
- ``reading``: what the blocks of one frame say about the bits;
- ``significance``: the probability that they say so by chance;
- ``collect``: one pass over all frames of a file, at alignments that are given;
- ``search``: alignments that are not given;
- ``detect``: the answer for a file.
"""
