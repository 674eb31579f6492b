"""Search as pure functions: uploads → text → chunks → vectors → one ranking. No store, no clock.

Nothing here uses the network, except for an embedding server if the settings name one.
"""
