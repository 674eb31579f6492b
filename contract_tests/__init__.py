"""The contract kit: cases that hold any server of these APIs, given as a URL, to the recorded contract."""
