"""The HTTP kit of REST and the control API: Starlette, and what both need beyond it. It knows neither of the two."""
