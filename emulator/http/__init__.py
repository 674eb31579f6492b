"""The HTTP kit that REST and the control API share, on top of Starlette. It imports neither of them."""
