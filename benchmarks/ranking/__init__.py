"""How often a search finds the right passage: documents and questions written for this, and the measures.

Half of the documents, chosen by their names, are the held-out part: methods and their constants are chosen by the
questions about the other half, and judged by those about the held-out half.
"""
