"""Search as pure functions: uploads → text → chunks → vectors → one ranking. No store, no clock.

Nothing here reaches the network, but for an embedding server where the settings name one.
"""
