"""The contract kit: cases that hold any server of these APIs, given as a URL, to the recorded contract.

The server is known by its URL alone. `xai-emulator verify --base-url URL` runs the cases, and so does pytest in this
folder.
"""
