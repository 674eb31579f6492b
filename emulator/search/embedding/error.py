"""The error of every kind of embedder."""


class EmbedderError(Exception):
    """The embedder returned no usable vectors; the message says why."""
