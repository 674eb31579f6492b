"""Chat: what a model endpoint is asked, what it may refuse, what it answers and what that costs. Pure.

- `models`: the one table of models, their aliases and prices, and what each of them accepts.
"""
