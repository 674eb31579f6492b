"""Tests of the console; a package, so that they share a browser."""
